#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "model/methods/hyperx/generator.h"
#include "model/ops/cpu/activation.h"
#include "model/ops/cpu/dropout.h"
#include "model/ops/cpu/residual_norm.h"

// The operations of model/ops with our own CUDA kernels (ops/cuda), on the current stream; only where the build has
// CUDA. All tensors are on one GPU, rows in fp32 or bf16, the rest in fp32. Differentiable like their namesakes.
namespace hyperx::model {

at::Tensor cuda_residual_norm(const at::Tensor& x, const at::Tensor& bias, const SiteDropout& dropout,
                              const at::Tensor& first, const at::Tensor& second, const NormParameters& norm);
at::Tensor cuda_biased_activation(const at::Tensor& x, const at::Tensor& bias, Activation activation);
at::Tensor cuda_keyed_dropout(const at::Tensor& x, const at::Tensor& bias, const SiteDropout& dropout);

// A dropout key in device memory, where the kernels read it: one int64.
at::Tensor key_on_device(const DropoutKey& key, at::Device device);

// word[id] + position[position + offset] + type[0] in `type`, for frozen tables: not differentiable. ids, positions
// [rows] int64.
at::Tensor cuda_embedding_sum(const at::Tensor& word, const at::Tensor& position, const at::Tensor& kind,
                              const at::Tensor& ids, const at::Tensor& positions, int64_t position_offset,
                              at::ScalarType type);

void cuda_generate(const at::Tensor& w, const at::Tensor& c, const at::Tensor& s, const at::Tensor& theta);
FactorSums cuda_factor_sums(const at::Tensor& w, const at::Tensor& g);

// Updates W, c and their moments from g and s; if s_next and theta_next are defined, also computes theta of the next
// step. `control` is update_control()'s in fp32; count [1] int64 is this update's number, from 1.
struct CudaLowRankAdam {
  at::Tensor w, c, w_m, w_v, c_m, c_v;
  at::Tensor g, s;
  at::Tensor s_next, theta_next;
  at::Tensor control, count;
};
void cuda_low_rank_adam(const CudaLowRankAdam& call, double rate, const AdamOptions& options);
// Whether the kernel supports this number of source rows at once on W's GPU.
bool cuda_low_rank_adam_fits(const at::Tensor& w, int64_t rows);

// The tensors of one Adam update, in a table on the GPU that is made once: the tensors must keep their addresses. count
// [1] int64: this update's number; active [1] bool: whether the update includes the tensor.
struct AdamTensors {
  at::Tensor p, g, m, v, count, active;
};
struct CudaAdamTable {
  at::Tensor rows;  // bytes
  int64_t count = 0, most_values = 0;
};
CudaAdamTable cuda_adam_table(const std::vector<AdamTensors>& tensors);
void cuda_adam(const CudaAdamTable& table, const at::Tensor& control, double rate, const AdamOptions& options);

}  // namespace hyperx::model

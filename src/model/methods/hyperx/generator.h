#pragma once

#include <ATen/core/Tensor.h>

#include "model/parameters/adam_step.h"

// The passes over the generators' stacked weight W (docs/method.md section 6). All are plain functions of tensors,
// without autograd, for one group of rows that share a generator: there is one group where a layer embedding
// distinguishes the layers, and there are L groups where each layer has its own generator.
//
//   W [theta, projected]   c [theta]   s [rows, projected]   theta, g [rows, theta] (rows may be strided)
namespace hyperx::model {

// theta_r = W s_r + c, where theta_r and s_r are rows.
void generate(const at::Tensor& w, const at::Tensor& c, const at::Tensor& s, at::Tensor theta);

// The sums that the rest of the step needs of W and g, in one pass over both and before W's update. In fp64; on the CPU
// the same bits for any number of threads. Both are sums over theta: the results for parts of theta add up.
struct FactorSums {
  at::Tensor source_gradient;  // [rows, projected] ds_r = Wᵀ g_r
  at::Tensor gram;             // [rows, rows] g_r · g_q
};
FactorSums factor_sums(const at::Tensor& w, const at::Tensor& g);

// ‖Σ_r g_r s_rᵀ‖² + ‖Σ_r g_r‖² = Σ_rq (g_r · g_q)(s_r · s_q + 1): the squared gradient norm of W and c, for the clip.
// 0-dim fp64.
at::Tensor factored_norm_squared(const at::Tensor& gram, const at::Tensor& s);

// One Adam update (adam.h) of W and c from the factors, tile by tile: the dense gradient Σ_r g_r s_rᵀ is never stored.
// The weight decay applies to W and not to c. CPU only.
void low_rank_adam_update(at::Tensor w, at::Tensor c, at::Tensor w_m, at::Tensor w_v, at::Tensor c_m, at::Tensor c_v,
                          const at::Tensor& g, const at::Tensor& s, int64_t step, double rate, double scale,
                          const AdamOptions& options);

// W and c with both moments of each.
struct GeneratorState {
  at::Tensor w, c, w_m, w_v, c_m, c_v;
};
// The same update by whatever the step asks for: fused as low_rank_adam_update; otherwise one block of rows at a time
// by LibTorch's operations, or by our own kernel where that is chosen (own_kernels.h).
void low_rank_adam(const GeneratorState& state, const at::Tensor& g, const at::Tensor& s, const StepFactors& factors,
                   const AdamStep& step);

}  // namespace hyperx::model

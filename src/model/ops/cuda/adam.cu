#include <algorithm>

#include "model/ops/cuda/adam_rule.cuh"
#include "model/ops/cuda/rows.cuh"

// Many small tensors in one launch, with one row of blocks per tensor. 28 bytes per value, in coalesced accesses;
// hundreds of tensors of a few thousand values are limited by the launch, larger ones by bandwidth.
namespace hyperx::model::kernels {
inline namespace HYPERX_KERNEL_BUILD {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kThreadValues = 4;
constexpr int64_t kMostBlocks = 1024;  // per tensor
constexpr int64_t kMostTensors = 65535;

__global__ void __launch_bounds__(kThreads)
    adam_kernel(const AdamTensor* tensors, AdamRule rule, const UpdateControl* control) {
  const AdamTensor tensor = tensors[blockIdx.y];
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kThreads;
  if (control->finite == 0.0F || !*tensor.active || first >= tensor.numel) return;  // the whole block
  AdamFactors* const shared = shared_memory<AdamFactors>();
  if (threadIdx.x == 0) *shared = adam_factors(rule, *tensor.count, control->scale);
  __syncthreads();
  const AdamFactors factors = *shared;
  HYPERX_UNROLL_4
  for (int64_t i = first + threadIdx.x; i < tensor.numel; i += static_cast<int64_t>(gridDim.x) * kThreads)
    adam_value(tensor.p[i], tensor.g[i], tensor.m[i], tensor.v[i], factors, factors.decay);
}

}  // namespace

void adam(const AdamTensor* tensors, int64_t count, int64_t most_values, const AdamRule& rule,
          const UpdateControl* control, Stream stream) {
  if (most_values == 0) return;
  const int64_t blocks = std::min(kMostBlocks, ceil_divide(most_values, kThreads * kThreadValues));
  for (int64_t first = 0; first < count; first += kMostTensors)
    launch("adam", adam_kernel,
           dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(std::min(kMostTensors, count - first))),
           dim3(kThreads), static_cast<int64_t>(sizeof(AdamFactors)), stream, tensors + first, rule, control);
}

}  // namespace HYPERX_KERNEL_BUILD
}  // namespace hyperx::model::kernels

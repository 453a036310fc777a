#pragma once

#include "model/ops/cuda/generator.h"
#include "model/ops/cuda/launch.cuh"

namespace hyperx::model::kernels {
inline namespace HYPERX_KERNEL_BUILD {

// Factors for the update of one value, as in adam_factors() and adam_row() on the CPU.
struct AdamFactors {
  float beta1, beta2, keep1, keep2, epsilon, step_size, scale, decay;
};

// Computes two powers in fp64, so only one thread of a block should call it.
__device__ inline AdamFactors adam_factors(const AdamRule& rule, int64_t count, float scale) {
  const double step = static_cast<double>(count);
  const double correction1 = 1.0 - pow(rule.beta1, step), correction2 = 1.0 - pow(rule.beta2, step);
  return {static_cast<float>(rule.beta1),
          static_cast<float>(rule.beta2),
          static_cast<float>(1.0 - rule.beta1),
          static_cast<float>(1.0 - rule.beta2),
          static_cast<float>(rule.epsilon),
          static_cast<float>(rule.rate * sqrt(correction2) / correction1),
          scale,
          static_cast<float>(1.0 - rule.rate * rule.weight_decay)};
}

// Epsilon is added before the bias correction, as in the release.
__device__ inline void adam_value(float& p, float gradient, float& m, float& v, const AdamFactors& f, float decay) {
  const float g = gradient * f.scale;
  m = f.beta1 * m + f.keep1 * g;
  v = f.beta2 * v + f.keep2 * g * g;
  p = decay * (p - f.step_size * m / (sqrtf(v) + f.epsilon));
}

}  // namespace HYPERX_KERNEL_BUILD
}  // namespace hyperx::model::kernels

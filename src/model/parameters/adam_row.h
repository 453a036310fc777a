#pragma once

#include <cmath>
#include <cstdint>

#include "model/ops/cpu/multiversion.h"
#include "model/parameters/adam.h"

// The inner loop of every Adam on the CPU, inlined into functions that are compiled for several instruction sets.
namespace hyperx::model {

template <class T>
struct AdamFactors {
  T beta1, beta2, keep1, keep2, epsilon, step_size, scale, decay;
};

template <class T>
AdamFactors<T> adam_factors(int64_t step, double rate, double scale, const AdamOptions& options) {
  const double correction1 = 1.0 - std::pow(options.beta1, static_cast<double>(step));
  const double correction2 = 1.0 - std::pow(options.beta2, static_cast<double>(step));
  return {static_cast<T>(options.beta1),
          static_cast<T>(options.beta2),
          static_cast<T>(1.0 - options.beta1),
          static_cast<T>(1.0 - options.beta2),
          static_cast<T>(options.epsilon),
          static_cast<T>(rate * std::sqrt(correction2) / correction1),
          static_cast<T>(scale),
          static_cast<T>(1.0 - rate * options.weight_decay)};
}

template <class T>
HYPERX_INLINE void adam_row(T* HYPERX_RESTRICT p, const T* HYPERX_RESTRICT gradient, T* HYPERX_RESTRICT m,
                            T* HYPERX_RESTRICT v, int64_t count, const AdamFactors<T>& f) {
  for (int64_t i = 0; i < count; ++i) {
    const T g = gradient[i] * f.scale;
    m[i] = f.beta1 * m[i] + f.keep1 * g;
    v[i] = f.beta2 * v[i] + f.keep2 * g * g;
    p[i] = f.decay * (p[i] - f.step_size * m[i] / (std::sqrt(v[i]) + f.epsilon));
  }
}

}  // namespace hyperx::model

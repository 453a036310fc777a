#pragma once

#include <ATen/core/Tensor.h>

#include "model/ops/cpu/dropout.h"

namespace hyperx::model {

struct NormParameters {
  at::Tensor weight, bias;  // [width], of the rows' type or a wider one
  double epsilon = 1e-12;
};

// LayerNorm(dropout(x + bias) + first + second) in one pass over the rows. x, first, second [rows, width] of one type,
// bias [width] of that type; bias and second may be undefined. Differentiable in all tensors. The gradients of bias,
// weight and norm bias are sums over rows with the same bits for any number of threads.
at::Tensor residual_norm(const at::Tensor& x, const at::Tensor& bias, const SiteDropout& dropout,
                         const at::Tensor& first, const at::Tensor& second, const NormParameters& norm);

}  // namespace hyperx::model

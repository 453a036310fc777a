#pragma once

#include <ATen/core/Tensor.h>

namespace hyperx::model {

enum class Activation { kGelu, kRelu };

// activation(x + bias) in one pass. x [rows, width], bias [width] of x's type; differentiable in both. GELU is the
// exact one, x Phi(x), with the normal distribution function.
at::Tensor biased_activation(const at::Tensor& x, const at::Tensor& bias, Activation activation);

}  // namespace hyperx::model

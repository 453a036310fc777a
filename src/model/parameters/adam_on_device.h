#pragma once

#include <ATen/core/Tensor.h>

#include "model/parameters/adam.h"

// Adam on a device that the host does not wait for: the gradient's norm, which decides about the update and its size,
// is known only there. The same arithmetic as adam_update, with LibTorch's operations, on any device.
namespace hyperx::model {

// {clip factor, 1} for the gradient's norm (0-dim fp64), or {0, 0} if it is not finite: then nothing changes. [2] of
// `type`. clip_norm 0: off.
at::Tensor update_control(const at::Tensor& norm, double clip_norm, at::ScalarType type);

// Step sizes of tensors that each have their own update count: [n], one per tensor, or one value per element.
struct StepFactors {
  at::Tensor counts;     // int64, including this update
  at::Tensor active;     // bool
  at::Tensor step_size;  // learning rate with the bias corrections; meaningless if not active
};
// counts [n] int64: updates so far, incremented where an update is made. used [n] bool: has a gradient in this step. A
// tensor is skipped until its first gradient, and updated with a zero gradient afterwards where it has none. `rate`:
// learning rate.
StepFactors next_step(at::Tensor counts, const at::Tensor& used, const at::Tensor& control, double rate,
                      const AdamOptions& options);

// p, gradient, m, v have one shape, to which the factors broadcast.
void adam_on_device(at::Tensor p, const at::Tensor& gradient, at::Tensor m, at::Tensor v, const StepFactors& factors,
                    const at::Tensor& control, double rate, const AdamOptions& options);

}  // namespace hyperx::model

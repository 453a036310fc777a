#pragma once

#include <ATen/core/Tensor.h>

#include "model/parameters/adam.h"

// Adam on a device that the host does not wait for: the gradient's norm, and with it whether and how far an update
// goes, is known only there. The same arithmetic as adam_update, with LibTorch's operations, on any device.
namespace hyperx::model {

// {clip factor, 1} of the gradient's norm (0-dim fp64), or {0, 0} where it is not finite: then nothing changes. [2] of
// `type`. clip_norm 0: off.
at::Tensor update_control(const at::Tensor& norm, double clip_norm, at::ScalarType type);

// How far tensors that each have an update count go: [n] each, or a value for every element of theirs.
struct StepFactors {
  at::Tensor counts;     // int64, with this update
  at::Tensor active;     // bool
  at::Tensor step_size;  // rate with the bias corrections; of no meaning where not active
};
// counts [n] int64, updates so far, counted on where one is made. used [n] bool: has a gradient in this step. A tensor
// is passed over until it had its first gradient, and stepped with zero afterwards.
StepFactors next_step(at::Tensor counts, const at::Tensor& used, const at::Tensor& control, double rate,
                      const AdamOptions& options);

// p, gradient, m, v of one shape, to which the factors broadcast.
void adam_on_device(at::Tensor p, const at::Tensor& gradient, at::Tensor m, at::Tensor v, const StepFactors& factors,
                    const at::Tensor& control, double rate, const AdamOptions& options);

}  // namespace hyperx::model

#pragma once

#include <ATen/core/Tensor.h>

#include "model/parameters/adam.h"

// One Adam update of blocks of parameters. On a GPU the host does not wait: the gradient's norm, which decides about
// the update and its size, is known only there. The arithmetic is that of adam_update(), by LibTorch's operations on
// any device, or by the fused kernels for the CPU (AdamStep::fused).
namespace hyperx::model {

// {clip factor, 1} for the gradient's norm (0-dim fp64), or {0, 0} if it is not finite: then nothing changes. [2] of
// `type`, fp64 where the step is fused. clip_norm 0: off.
at::Tensor update_control(const at::Tensor& norm, double clip_norm, at::ScalarType type);

// Step sizes of tensors that each have their own update count: [n], one per tensor, or one value per element.
struct StepFactors {
  at::Tensor counts;     // int64, including this update
  at::Tensor active;     // bool
  at::Tensor step_size;  // learning rate with the bias corrections; meaningless if not active; undefined if fused
};
// counts [n] int64: updates so far, incremented where an update is made. used [n] bool: has a gradient in this step. A
// tensor is skipped until its first gradient, and updated with a zero gradient afterwards where it has none.
StepFactors next_step(at::Tensor counts, const at::Tensor& used, const AdamStep& step);

// p, gradient, m, v have one shape, to which the factors broadcast; if fused, factors of one tensor.
void adam(at::Tensor p, const at::Tensor& gradient, at::Tensor m, at::Tensor v, const StepFactors& factors,
          const AdamStep& step);

// The factors of one tensor on the host. clip: factor of the gradient.
struct HostFactors {
  HostFactors(const StepFactors& factors, const AdamStep& step);
  bool active;
  int64_t count;
  double clip;
};

}  // namespace hyperx::model

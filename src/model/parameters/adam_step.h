#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "model/parameters/adam.h"

// One Adam update of blocks of parameters. On a GPU the host does not wait: the gradient's norm, which decides about
// the update and its size, is known only there. The arithmetic is that of adam_update(), by LibTorch's operations on
// any device, or by the fused kernels for the CPU (AdamStep::fused).
namespace hyperx::model {

// min(1, clip_norm / (norm + kClipEpsilon)). clip_norm 0: off, 1.
double clip_factor(double norm, double clip_norm);
// {clip factor, 1} for the gradient's norm (0-dim fp64), or {0, 0} if it is not finite: then nothing changes. [2] of
// `type`. clip_norm 0: off.
at::Tensor update_control(const at::Tensor& norm, double clip_norm, at::ScalarType type);

// How an update treats n tensors that each have their own update count.
struct StepFactors {
  struct OnHost {
    bool active = false;
    int64_t count = 0;  // including this update
  };
  std::vector<OnHost> host;  // fused: [n]
  // Not fused: [n], one per tensor, or one value per element.
  at::Tensor counts;     // int64, including this update
  at::Tensor active;     // bool
  at::Tensor step_size;  // learning rate with the bias corrections; meaningless if not active
};
// counts [n] int64: updates so far, incremented where an update is made. used [n]: not 0 for a tensor that has a
// gradient in this step; empty: all have one. A tensor is skipped until its first gradient, and updated with a zero
// gradient afterwards where it has none.
StepFactors next_step(at::Tensor counts, const std::vector<uint8_t>& used, const AdamStep& step);

// p, gradient, m, v have one shape. Fused: with the factors of tensor `tensor`; otherwise all factors broadcast to the
// shape.
void adam(at::Tensor p, const at::Tensor& gradient, at::Tensor m, at::Tensor v, const StepFactors& factors,
          const AdamStep& step, size_t tensor = 0);

}  // namespace hyperx::model

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace hyperx::model {

constexpr double kClipEpsilon = 1e-6;  // the clip factor is min(1, clip / (norm + this))

struct AdamOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;  // decoupled, after the update: p -= learning rate * decay * p
};

// How a training run updates its parameters.
struct UpdateOptions {
  double clip_norm = 1.0;  // 0: off
  AdamOptions adam = {};
  bool by_operations = false;  // LibTorch's operations on the CPU too, as on a GPU
  bool fused_on(at::Device device) const { return device.is_cpu() && !by_operations; }
};

// One update of every block.
struct AdamStep {
  double rate = 0;
  AdamOptions adam = {};
  bool fused = false;       // by the fused kernels for the CPU; otherwise by LibTorch's operations, on any device
  double clip = 1;          // fused: the clip factor
  at::Tensor control = {};  // not fused: update_control() of the gradient's norm
  AdamStep without_decay() const;
};

// One Adam update with the gradient scaled by `scale`. m, v: moments; `step` counts from 1; `rate`: learning rate. As
// in the release, epsilon is added to sqrt(v) before the bias correction. CPU only; for other devices see
// adam_step.h.
void adam_update(at::Tensor p, const at::Tensor& gradient, at::Tensor m, at::Tensor v, int64_t step, double rate,
                 double scale, const AdamOptions& options);

}  // namespace hyperx::model

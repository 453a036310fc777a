#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

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
  // Whether updates are queued on the device without waiting for the gradient's norm; by default only on a GPU.
  std::optional<bool> queued = {};
  double clip_norm = 1.0;  // 0: off
  AdamOptions adam = {};
};

// One update of every block.
struct AdamStep {
  double rate = 0;
  AdamOptions adam = {};
  bool queued = false;
  double scale = 1;         // clip factor; not queued
  at::Tensor control = {};  // queued: {clip factor, 1}, or {0, 0} where the norm is not finite (update_control)
};

// One Adam update with the gradient scaled by `scale`. m, v: moments; `step` counts from 1; `rate`: learning rate. As
// in the release, epsilon is added to sqrt(v) before the bias correction. CPU only; for other devices see
// adam_on_device.h.
void adam_update(at::Tensor p, const at::Tensor& gradient, at::Tensor m, at::Tensor v, int64_t step, double rate,
                 double scale, const AdamOptions& options);

}  // namespace hyperx::model

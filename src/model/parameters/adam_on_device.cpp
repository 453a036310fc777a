#include "model/parameters/adam_on_device.h"

#include <ATen/ATen.h>

namespace hyperx::model {
at::Tensor update_control(const at::Tensor& norm, double clip_norm, at::ScalarType type) {
  const at::Tensor finite = at::isfinite(norm);
  const at::Tensor scale = clip_norm > 0 ? (clip_norm / (norm + kClipEpsilon)).clamp_max(1.0) : at::ones_like(norm);
  return at::stack({at::where(finite, scale, 0.0), finite.to(norm.scalar_type())}).to(type);
}

StepFactors next_step(at::Tensor counts, const at::Tensor& used, const at::Tensor& control, double rate,
                      const AdamOptions& options) {
  const at::Tensor active = control[1].ne(0).logical_and(used.logical_or(counts.ne(0)));
  counts.add_(active.to(at::kLong));
  const at::Tensor count = counts.to(at::kDouble);
  const at::Tensor correction1 = 1.0 - at::pow(options.beta1, count);
  const at::Tensor correction2 = 1.0 - at::pow(options.beta2, count);
  return {counts, active, (rate * correction2.sqrt() / correction1).to(control.scalar_type())};
}

void adam_on_device(at::Tensor p, const at::Tensor& gradient, at::Tensor m, at::Tensor v, const StepFactors& factors,
                    const at::Tensor& control, double rate, const AdamOptions& options) {
  const at::Tensor& active = factors.active;
  const auto chosen = [&](double value, double otherwise) {
    return at::where(active, at::full({}, value, p.options().requires_grad(false)), otherwise);
  };
  const at::Tensor g = at::where(active, gradient * control[0], 0.0);
  m.mul_(chosen(options.beta1, 1.0)).add_(g, 1.0 - options.beta1);
  v.mul_(chosen(options.beta2, 1.0)).addcmul_(g, g, 1.0 - options.beta2);
  const at::Tensor change = m / v.sqrt().add_(options.epsilon) * factors.step_size;
  p.sub_(at::where(active, change, 0.0));
  if (options.weight_decay != 0) p.mul_(chosen(1.0 - rate * options.weight_decay, 1.0));
}

}  // namespace hyperx::model

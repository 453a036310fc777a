#include "model/parameters/adam_step.h"

#include <ATen/ATen.h>

namespace hyperx::model {
namespace {

void adam_by_operations(at::Tensor p, const at::Tensor& gradient, at::Tensor m, at::Tensor v,
                        const StepFactors& factors, const AdamStep& step) {
  const AdamOptions& options = step.adam;
  const at::Tensor& active = factors.active;
  const auto chosen = [&](double value, double otherwise) {
    return at::where(active, at::full({}, value, p.options()), otherwise);
  };
  const at::Tensor g = at::where(active, gradient * step.control[0], 0.0);
  m.mul_(chosen(options.beta1, 1.0)).add_(g, 1.0 - options.beta1);
  v.mul_(chosen(options.beta2, 1.0)).addcmul_(g, g, 1.0 - options.beta2);
  const at::Tensor change = m / v.sqrt().add_(options.epsilon) * factors.step_size;
  p.sub_(at::where(active, change, 0.0));
  if (options.weight_decay != 0) p.mul_(chosen(1.0 - step.rate * options.weight_decay, 1.0));
}

}  // namespace

at::Tensor update_control(const at::Tensor& norm, double clip_norm, at::ScalarType type) {
  const at::Tensor finite = at::isfinite(norm);
  const at::Tensor scale = clip_norm > 0 ? (clip_norm / (norm + kClipEpsilon)).clamp_max(1.0) : at::ones_like(norm);
  return at::stack({at::where(finite, scale, 0.0), finite.to(norm.scalar_type())}).to(type);
}

StepFactors next_step(at::Tensor counts, const at::Tensor& used, const AdamStep& step) {
  const at::Tensor active = step.control[1].ne(0).logical_and(used.logical_or(counts.ne(0)));
  counts.add_(active.to(at::kLong));
  if (step.fused) return {counts, active, {}};
  const at::Tensor count = counts.to(at::kDouble);
  const at::Tensor correction1 = 1.0 - at::pow(step.adam.beta1, count);
  const at::Tensor correction2 = 1.0 - at::pow(step.adam.beta2, count);
  return {counts, active, (step.rate * correction2.sqrt() / correction1).to(step.control.scalar_type())};
}

HostFactors::HostFactors(const StepFactors& factors, const AdamStep& step)
    : active(factors.active.item<bool>()),
      count(factors.counts.item<int64_t>()),
      clip(step.control.const_data_ptr<double>()[0]) {}

void adam(at::Tensor p, const at::Tensor& gradient, at::Tensor m, at::Tensor v, const StepFactors& factors,
          const AdamStep& step) {
  if (!step.fused) return adam_by_operations(p, gradient, m, v, factors, step);
  const HostFactors host(factors, step);
  if (host.active) adam_update(p, gradient, m, v, host.count, step.rate, host.clip, step.adam);
}

}  // namespace hyperx::model

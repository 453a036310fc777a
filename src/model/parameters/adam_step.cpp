#include "model/parameters/adam_step.h"

#include <ATen/ATen.h>

#include <algorithm>

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

double clip_factor(double norm, double clip_norm) {
  return clip_norm > 0 ? std::min(1.0, clip_norm / (norm + kClipEpsilon)) : 1.0;
}

at::Tensor update_control(const at::Tensor& norm, double clip_norm, at::ScalarType type) {
  const at::Tensor finite = at::isfinite(norm);
  const at::Tensor scale = clip_norm > 0 ? (clip_norm / (norm + kClipEpsilon)).clamp_max(1.0) : at::ones_like(norm);
  return at::stack({at::where(finite, scale, 0.0), finite.to(norm.scalar_type())}).to(type);
}

StepFactors next_step(at::Tensor counts, const std::vector<uint8_t>& used, const AdamStep& step) {
  StepFactors factors;
  if (step.fused) {
    auto* const count = counts.data_ptr<int64_t>();
    for (int64_t i = 0; i < counts.numel(); ++i) {
      const bool active = used.empty() || used[static_cast<size_t>(i)] != 0 || count[i] != 0;
      if (active) ++count[i];
      factors.host.push_back({active, count[i]});
    }
    return factors;
  }
  factors.counts = counts;
  factors.active = step.control[1].ne(0).expand_as(counts);
  if (!used.empty()) {
    const at::Tensor flags = at::tensor(at::ArrayRef<uint8_t>(used), at::kByte).to(counts.device(), at::kBool, true);
    factors.active = factors.active.logical_and(flags.logical_or(counts.ne(0)));
  }
  counts.add_(factors.active.to(at::kLong));
  const at::Tensor count = counts.to(at::kDouble);
  const at::Tensor correction1 = 1.0 - at::pow(step.adam.beta1, count);
  const at::Tensor correction2 = 1.0 - at::pow(step.adam.beta2, count);
  factors.step_size = (step.rate * correction2.sqrt() / correction1).to(step.control.scalar_type());
  return factors;
}

void adam(at::Tensor p, const at::Tensor& gradient, at::Tensor m, at::Tensor v, const StepFactors& factors,
          const AdamStep& step, size_t tensor) {
  if (!step.fused) return adam_by_operations(p, gradient, m, v, factors, step);
  const StepFactors::OnHost& own = factors.host[tensor];
  if (own.active) adam_update(p, gradient, m, v, own.count, step.rate, step.clip, step.adam);
}

}  // namespace hyperx::model

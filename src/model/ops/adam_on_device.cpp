#include "model/ops/adam_on_device.h"

#include <torch/torch.h>

#include <algorithm>

#include "model/ops/cuda/cuda_ops.h"
#include "model/ops/own_kernels.h"

namespace hyperx::model {
namespace {

constexpr int64_t kBlockRows = 1 << 15;  // of W: 25 MB of gradient for the Base model

}  // namespace

at::Tensor update_control(const at::Tensor& norm, double clip_norm, at::ScalarType type) {
  const at::Tensor finite = torch::isfinite(norm);
  const at::Tensor scale = clip_norm > 0 ? (clip_norm / (norm + kClipEpsilon)).clamp_max(1.0) : torch::ones_like(norm);
  return torch::stack({torch::where(finite, scale, 0.0), finite.to(norm.scalar_type())}).to(type);
}

StepFactors next_step(at::Tensor counts, const at::Tensor& used, const at::Tensor& control, double rate,
                      const AdamOptions& options) {
  const at::Tensor active = control[1].ne(0).logical_and(used.logical_or(counts.ne(0)));
  counts.add_(active.to(at::kLong));
  const at::Tensor count = counts.to(at::kDouble);
  const at::Tensor correction1 = 1.0 - torch::pow(options.beta1, count);
  const at::Tensor correction2 = 1.0 - torch::pow(options.beta2, count);
  return {counts, active, (rate * correction2.sqrt() / correction1).to(control.scalar_type())};
}

void adam_on_device(at::Tensor p, const at::Tensor& gradient, at::Tensor m, at::Tensor v, const StepFactors& factors,
                    const at::Tensor& control, double rate, const AdamOptions& options) {
  const at::Tensor& active = factors.active;
  const auto chosen = [&](double value, double otherwise) {
    return torch::where(active, torch::full({}, value, p.options().requires_grad(false)), otherwise);
  };
  const at::Tensor g = torch::where(active, gradient * control[0], 0.0);
  m.mul_(chosen(options.beta1, 1.0)).add_(g, 1.0 - options.beta1);
  v.mul_(chosen(options.beta2, 1.0)).addcmul_(g, g, 1.0 - options.beta2);
  const at::Tensor change = m / v.sqrt().add_(options.epsilon) * factors.step_size;
  p.sub_(torch::where(active, change, 0.0));
  if (options.weight_decay != 0) p.mul_(chosen(1.0 - rate * options.weight_decay, 1.0));
}

void low_rank_adam_on_device(at::Tensor w, at::Tensor c, at::Tensor w_m, at::Tensor w_v, at::Tensor c_m, at::Tensor c_v,
                             const at::Tensor& g, const at::Tensor& s, const StepFactors& factors,
                             const at::Tensor& control, double rate, const AdamOptions& options) {
  if constexpr (kHasOwnKernels) {
    if (own_kernels_take(w) && cuda_low_rank_adam_fits(w, s.size(0))) {
      cuda_low_rank_adam({w, c, w_m, w_v, c_m, c_v, g, s, {}, {}, control, factors.counts}, rate, options);
      return;
    }
  }
  for (int64_t begin = 0; begin < w.size(0); begin += kBlockRows) {
    const int64_t rows = std::min(kBlockRows, w.size(0) - begin);
    const auto block = [&](const at::Tensor& whole) { return whole.narrow(0, begin, rows); };
    adam_on_device(block(w), at::mm(g.narrow(1, begin, rows).t(), s), block(w_m), block(w_v), factors, control, rate,
                   options);
  }
  AdamOptions bias_options = options;
  bias_options.weight_decay = 0;
  adam_on_device(c, g.sum(0), c_m, c_v, factors, control, rate, bias_options);
}

}  // namespace hyperx::model

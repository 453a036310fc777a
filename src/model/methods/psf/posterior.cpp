#include "model/methods/psf/posterior.h"

#include <ATen/ATen.h>

namespace hyperx::model {

at::Tensor Posterior::sample(int64_t index, const at::Tensor& epsilon, const at::Tensor& zeta) const {
  if (!is_joint()) return mean[index] + at::softplus(logvar[index]) * epsilon;
  const int64_t size = mean.size(1), begin = index * size;
  return mean[index] + at::softplus(logvar[index]) * epsilon.narrow(1, begin, size) +
         at::mm(zeta, at::softplus(factor.narrow(0, begin, size)).t());
}

at::Tensor Posterior::divergence(int64_t index) const {
  const at::Tensor own_mean = is_joint() ? mean.reshape({-1}) : mean[index];
  const at::Tensor variance = at::softplus(is_joint() ? logvar.reshape({-1}) : logvar[index]);
  const at::Tensor sum = variance.sum() + own_mean.square().sum() - variance.log().sum() - own_mean.numel();
  if (!is_joint()) return 0.5 * sum;
  // |diag(v) + B Bᵀ| = |diag(v)| |I + Bᵀ diag(1/v) B|
  const at::Tensor b = at::softplus(factor);
  const at::Tensor inner = at::mm(b.t() / variance, b) + at::eye(b.size(1), b.options().requires_grad(false));
  return 0.5 * (sum + b.square().sum() - at::logdet(inner));
}

}  // namespace hyperx::model

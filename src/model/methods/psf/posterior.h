#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace hyperx::model {

// Gaussian posterior of n latent vectors of e values, prior N(0, I). With sigma = softplus(logvar):
//
//   diagonal   a vector is mean + sigma * epsilon; each has its own divergence
//   low rank   all vectors together are mean + sigma * epsilon + B zeta, B = softplus(factor), and have one divergence
//
// As in the authors' code, sigma is the standard deviation of a draw and the variance in the divergence.
struct Posterior {
  at::Tensor mean, logvar;  // [n, e]
  at::Tensor factor;        // [n * e, rank]; undefined: diagonal

  bool is_joint() const { return factor.defined(); }
  // Draws vector `index`, [samples, e]. epsilon: N(0, 1), [samples, e], or [samples, n * e] if joint; zeta: [samples,
  // rank], if joint.
  at::Tensor sample(int64_t index, const at::Tensor& epsilon, const at::Tensor& zeta) const;
  // Kullback-Leibler divergence from the prior: of vector `index`, or of all if joint. 0-dim.
  at::Tensor divergence(int64_t index) const;
};

}  // namespace hyperx::model

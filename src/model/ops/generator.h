#pragma once

#include <ATen/core/Tensor.h>

// The passes over the generators' stacked weight W that hyperx exists for (SPEC.md section 8). All are plain functions
// of tensors, without autograd. Per group of rows that share a generator: one group where the layer embedding tells the
// layers apart, L groups where each layer has its own generator.
//
//   W [theta, projected]   c [theta]   s [rows, projected]   theta, g [rows, theta] (rows may lie apart)
namespace hyperx::model {

// theta_r = W s_r + c.
void generate(const at::Tensor& w, const at::Tensor& c, const at::Tensor& s, at::Tensor theta);

// What the rest of the step needs of W and g, in one pass over both and before W's update. In fp64; on the CPU the same
// bits for any number of threads. Sums over theta: those of parts of theta's rows add up.
struct FactorSums {
  at::Tensor source_gradient;  // [rows, projected] ds_r = Wᵀ g_r
  at::Tensor gram;             // [rows, rows] g_r · g_q
};
FactorSums factor_sums(const at::Tensor& w, const at::Tensor& g);

// ‖Σ_r g_r s_rᵀ‖² + ‖Σ_r g_r‖² = Σ_rq (g_r · g_q)(s_r · s_q + 1): what the clip needs of W and c. 0-dim fp64.
at::Tensor factored_norm_squared(const at::Tensor& gram, const at::Tensor& s);

constexpr double kClipEpsilon = 1e-6;  // the clip factor is min(1, clip / (norm + this))

struct AdamOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;  // decoupled, after the update: p -= rate * decay * p
};

// One Adam update with the gradient scaled by `scale`: m, v moments, `step` counted from 1. The release's order:
// epsilon is added to sqrt(v) before the bias correction. On the CPU; elsewhere see adam_on_device.h.
void adam_update(at::Tensor p, const at::Tensor& gradient, at::Tensor m, at::Tensor v, int64_t step, double rate,
                 double scale, const AdamOptions& options);

// The same for W and c from the factors, tile by tile: the dense gradient Σ_r g_r s_rᵀ is never stored. The decay, if
// any, applies to W and not to c.
void low_rank_adam_update(at::Tensor w, at::Tensor c, at::Tensor w_m, at::Tensor w_v, at::Tensor c_m, at::Tensor c_v,
                          const at::Tensor& g, const at::Tensor& s, int64_t step, double rate, double scale,
                          const AdamOptions& options);

}  // namespace hyperx::model

#include "model/ops/generator.h"

#include <ATen/Parallel.h>
#include <torch/torch.h>

#include <cmath>
#include <vector>

#include "common/errors.h"
#include "model/ops/multiversion.h"

namespace hyperx::model {
namespace {

template <class T>
struct AdamFactors {
  T beta1, beta2, keep1, keep2, epsilon, step_size, scale, decay;
};

template <class T>
AdamFactors<T> adam_factors(int64_t step, double rate, double scale, const AdamOptions& options) {
  const double correction1 = 1.0 - std::pow(options.beta1, static_cast<double>(step));
  const double correction2 = 1.0 - std::pow(options.beta2, static_cast<double>(step));
  return {static_cast<T>(options.beta1),
          static_cast<T>(options.beta2),
          static_cast<T>(1.0 - options.beta1),
          static_cast<T>(1.0 - options.beta2),
          static_cast<T>(options.epsilon),
          static_cast<T>(rate * std::sqrt(correction2) / correction1),
          static_cast<T>(scale),
          static_cast<T>(1.0 - rate * options.weight_decay)};
}

template <class T>
HYPERX_INLINE void adam_row(T* HYPERX_RESTRICT p, const T* HYPERX_RESTRICT gradient, T* HYPERX_RESTRICT m,
                            T* HYPERX_RESTRICT v, int64_t count, const AdamFactors<T>& f) {
  for (int64_t i = 0; i < count; ++i) {
    const T g = gradient[i] * f.scale;
    m[i] = f.beta1 * m[i] + f.keep1 * g;
    v[i] = f.beta2 * v[i] + f.keep2 * g * g;
    p[i] = f.decay * (p[i] - f.step_size * m[i] / (std::sqrt(v[i]) + f.epsilon));
  }
}

template <class T>
struct LowRankTask {
  T *w, *c, *w_m, *w_v, *c_m, *c_v;
  const T* g;  // [rows, theta], rows `g_stride` apart
  const T* s;  // [rows, projected]
  int64_t rows, projected, g_stride;
  AdamFactors<T> factors, bias_factors;
};

constexpr int64_t kMaxProjected = 4096;

template <class T>
HYPERX_INLINE void low_rank_rows(const LowRankTask<T>& t, int64_t begin, int64_t end) {
  T gradient[kMaxProjected];
  for (int64_t n = begin; n < end; ++n) {
    for (int64_t j = 0; j < t.projected; ++j) gradient[j] = T(0);
    T bias = T(0);
    for (int64_t r = 0; r < t.rows; ++r) {
      const T factor = t.g[r * t.g_stride + n];
      const T* HYPERX_RESTRICT s = t.s + r * t.projected;
      for (int64_t j = 0; j < t.projected; ++j) gradient[j] += factor * s[j];
      bias += factor;
    }
    adam_row(t.w + n * t.projected, gradient, t.w_m + n * t.projected, t.w_v + n * t.projected, t.projected, t.factors);
    adam_row(t.c + n, &bias, t.c_m + n, t.c_v + n, 1, t.bias_factors);
  }
}

HYPERX_MULTIVERSION void run_low_rank(const LowRankTask<float>& task, int64_t begin, int64_t end) {
  low_rank_rows(task, begin, end);
}
HYPERX_MULTIVERSION void run_low_rank(const LowRankTask<double>& task, int64_t begin, int64_t end) {
  low_rank_rows(task, begin, end);
}
HYPERX_MULTIVERSION void run_adam(float* p, const float* g, float* m, float* v, int64_t count,
                                  const AdamFactors<float>& f) {
  adam_row(p, g, m, v, count, f);
}
HYPERX_MULTIVERSION void run_adam(double* p, const double* g, double* m, double* v, int64_t count,
                                  const AdamFactors<double>& f) {
  adam_row(p, g, m, v, count, f);
}

template <class T>
void adam_cpu(at::Tensor& p, const at::Tensor& gradient, at::Tensor& m, at::Tensor& v, const AdamFactors<T>& factors) {
  T* const p_data = p.data_ptr<T>();
  T* const m_data = m.data_ptr<T>();
  T* const v_data = v.data_ptr<T>();
  const T* const g_data = gradient.const_data_ptr<T>();
  at::parallel_for(0, p.numel(), 1 << 15, [&](int64_t begin, int64_t end) {
    run_adam(p_data + begin, g_data + begin, m_data + begin, v_data + begin, end - begin, factors);
  });
}

template <class T>
void low_rank_cpu(at::Tensor& w, at::Tensor& c, at::Tensor& w_m, at::Tensor& w_v, at::Tensor& c_m, at::Tensor& c_v,
                  const at::Tensor& g, const at::Tensor& s, const AdamFactors<T>& factors,
                  const AdamFactors<T>& bias_factors) {
  const LowRankTask<T> task{w.data_ptr<T>(),   c.data_ptr<T>(),   w_m.data_ptr<T>(),     w_v.data_ptr<T>(),
                            c_m.data_ptr<T>(), c_v.data_ptr<T>(), g.const_data_ptr<T>(), s.const_data_ptr<T>(),
                            g.size(0),         w.size(1),         g.stride(0),           factors,
                            bias_factors};
  at::parallel_for(0, w.size(0), 64, [&](int64_t begin, int64_t end) { run_low_rank(task, begin, end); });
}

// On a device without a kernel of ours: the same arithmetic with LibTorch's operations, which stores the gradient.
void adam_by_operations(at::Tensor& p, const at::Tensor& gradient, at::Tensor& m, at::Tensor& v,
                        const AdamFactors<double>& f) {
  const at::Tensor g = gradient * f.scale;
  m.mul_(f.beta1).add_(g, f.keep1);
  v.mul_(f.beta2).addcmul_(g, g, f.keep2);
  p.addcdiv_(m, v.sqrt().add_(f.epsilon), -f.step_size).mul_(f.decay);
}

}  // namespace

void generate(const at::Tensor& w, const at::Tensor& c, const at::Tensor& s, at::Tensor theta) {
  theta.copy_(at::addmm(c, s, w.t()));
}

at::Tensor source_gradient(const at::Tensor& w, const at::Tensor& g) { return at::mm(g, w); }

double factored_norm_squared(const at::Tensor& g, const at::Tensor& s) {
  const at::Tensor wide_g = g.to(at::kDouble), wide_s = s.to(at::kDouble);
  const at::Tensor gram = at::mm(wide_g, wide_g.t());
  return (gram * (at::mm(wide_s, wide_s.t()) + 1.0)).sum().item<double>();
}

void adam_update(at::Tensor p, const at::Tensor& gradient, at::Tensor m, at::Tensor v, int64_t step, double rate,
                 double scale, const AdamOptions& options) {
  if (!p.is_cpu()) {
    adam_by_operations(p, gradient, m, v, adam_factors<double>(step, rate, scale, options));
  } else if (p.scalar_type() == at::kDouble) {
    adam_cpu<double>(p, gradient, m, v, adam_factors<double>(step, rate, scale, options));
  } else {
    adam_cpu<float>(p, gradient, m, v, adam_factors<float>(step, rate, scale, options));
  }
}

void low_rank_adam_update(at::Tensor w, at::Tensor c, at::Tensor w_m, at::Tensor w_v, at::Tensor c_m, at::Tensor c_v,
                          const at::Tensor& g, const at::Tensor& s, int64_t step, double rate, double scale,
                          const AdamOptions& options) {
  HYPERX_CHECK(w.size(1) <= kMaxProjected && g.stride(1) == 1, "factors of a shape that the update does not take");
  AdamOptions bias_options = options;
  bias_options.weight_decay = 0;
  if (!w.is_cpu()) {
    adam_by_operations(w, at::mm(g.t(), s), w_m, w_v, adam_factors<double>(step, rate, scale, options));
    adam_by_operations(c, g.sum(0), c_m, c_v, adam_factors<double>(step, rate, scale, bias_options));
  } else if (w.scalar_type() == at::kDouble) {
    low_rank_cpu<double>(w, c, w_m, w_v, c_m, c_v, g, s.contiguous(), adam_factors<double>(step, rate, scale, options),
                         adam_factors<double>(step, rate, scale, bias_options));
  } else {
    low_rank_cpu<float>(w, c, w_m, w_v, c_m, c_v, g, s.contiguous(), adam_factors<float>(step, rate, scale, options),
                        adam_factors<float>(step, rate, scale, bias_options));
  }
}

}  // namespace hyperx::model

#include "model/parameters/adam.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "common/errors.h"
#include "model/parameters/adam_row.h"

namespace hyperx::model {
namespace {

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

}  // namespace

AdamStep AdamStep::without_decay() const {
  AdamStep step = *this;
  step.adam.weight_decay = 0;
  return step;
}

void adam_update(at::Tensor p, const at::Tensor& gradient, at::Tensor m, at::Tensor v, int64_t step, double rate,
                 double scale, const AdamOptions& options) {
  HYPERX_CHECK(p.is_cpu(), "this Adam runs on the CPU");
  if (p.scalar_type() == at::kDouble) {
    adam_cpu<double>(p, gradient, m, v, adam_factors<double>(step, rate, scale, options));
  } else {
    adam_cpu<float>(p, gradient, m, v, adam_factors<float>(step, rate, scale, options));
  }
}

}  // namespace hyperx::model

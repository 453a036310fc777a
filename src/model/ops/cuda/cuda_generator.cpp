#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <cstring>

#include "common/errors.h"
#include "model/ops/cuda/cuda_ops.h"
#include "model/ops/cuda/cuda_rows.h"
#include "model/ops/cuda/generator.h"

namespace hyperx::model {
namespace {

kernels::GeneratorSize size_of(const at::Tensor& w) {
  HYPERX_CHECK(w.is_contiguous(), "W is contiguous");
  return {w.size(0), w.size(1)};
}

// Stride of rows [rows, theta] that may be apart, each contiguous.
int64_t row_stride(const at::Tensor& rows) {
  HYPERX_CHECK(rows.dim() == 2 && (rows.size(1) < 2 || rows.stride(1) == 1), "a row of theta lies in one piece");
  return rows.stride(0);
}

kernels::AdamRule rule_of(double rate, const AdamOptions& options) {
  return {rate, options.beta1, options.beta2, options.epsilon, options.weight_decay};
}

const kernels::UpdateControl* control_of(const at::Tensor& control) {
  static_assert(sizeof(kernels::UpdateControl) == 2 * sizeof(float));
  HYPERX_CHECK(control.scalar_type() == at::kFloat && control.numel() == 2 && control.is_contiguous(),
               "an update's control comes from update_control()");
  return static_cast<const kernels::UpdateControl*>(control.const_data_ptr());
}

}  // namespace

void cuda_generate(const at::Tensor& w, const at::Tensor& c, const at::Tensor& s, const at::Tensor& theta) {
  const c10::DeviceGuard guard(w.device());
  const at::Tensor sources = s.contiguous(), bias = c.contiguous();
  kernels::generate(size_of(w), w.const_data_ptr<float>(), bias.const_data_ptr<float>(),
                    {s.size(0), sources.const_data_ptr<float>()}, theta.data_ptr<float>(), row_stride(theta),
                    current_stream(w));
}

FactorSums cuda_factor_sums(const at::Tensor& w, const at::Tensor& g) {
  const c10::DeviceGuard guard(w.device());
  const int64_t rows = g.size(0), projected = w.size(1);
  const at::TensorOptions doubles = w.options().dtype(at::kDouble).requires_grad(false);
  const at::Tensor sums = at::empty({rows * (projected + rows)}, doubles);
  const at::Tensor partials = at::empty({kernels::factor_partial_values(size_of(w), rows)}, doubles);
  kernels::factor_sums(size_of(w), w.const_data_ptr<float>(), rows, g.const_data_ptr<float>(), row_stride(g),
                       sums.data_ptr<double>(), partials.data_ptr<double>(), current_stream(w));
  return {sums.narrow(0, 0, rows * projected).view({rows, projected}),
          sums.narrow(0, rows * projected, rows * rows).view({rows, rows})};
}

void cuda_low_rank_adam(const CudaLowRankAdam& call, double rate, const AdamOptions& options) {
  const c10::DeviceGuard guard(call.w.device());
  for (const at::Tensor* tensor : {&call.c, &call.w_m, &call.w_v, &call.c_m, &call.c_v})
    HYPERX_CHECK(tensor->is_contiguous(), "an update takes contiguous tensors");
  const at::Tensor s = call.s.contiguous(), s_next = call.s_next.defined() ? call.s_next.contiguous() : call.s_next;
  kernels::LowRankAdam update;
  update.size = size_of(call.w);
  update.w = call.w.data_ptr<float>();
  update.w_m = call.w_m.data_ptr<float>();
  update.w_v = call.w_v.data_ptr<float>();
  update.c = call.c.data_ptr<float>();
  update.c_m = call.c_m.data_ptr<float>();
  update.c_v = call.c_v.data_ptr<float>();
  update.sources = {s.size(0), s.const_data_ptr<float>()};
  update.g = call.g.const_data_ptr<float>();
  update.g_stride = row_stride(call.g);
  update.rule = rule_of(rate, options);
  update.control = control_of(call.control);
  update.count = call.count.const_data_ptr<int64_t>();
  if (s_next.defined()) {
    update.next = {s_next.size(0), s_next.const_data_ptr<float>()};
    update.theta_next = call.theta_next.data_ptr<float>();
    update.theta_next_stride = row_stride(call.theta_next);
  }
  kernels::low_rank_adam(update, current_stream(call.w));
}

bool cuda_low_rank_adam_fits(const at::Tensor& w, int64_t rows) {
  const c10::DeviceGuard guard(w.device());
  return kernels::low_rank_adam_fits(rows, 0, w.size(1));
}

CudaAdamTable cuda_adam_table(const std::vector<AdamTensors>& tensors) {
  std::vector<kernels::AdamTensor> rows;
  CudaAdamTable table;
  for (const AdamTensors& t : tensors) {
    for (const at::Tensor* tensor : {&t.p, &t.g, &t.m, &t.v})
      HYPERX_CHECK(tensor->is_contiguous() && tensor->numel() == t.p.numel(), "an update takes contiguous tensors");
    rows.push_back({t.p.data_ptr<float>(), t.g.const_data_ptr<float>(), t.m.data_ptr<float>(), t.v.data_ptr<float>(),
                    t.p.numel(), t.count.const_data_ptr<int64_t>(), t.active.const_data_ptr<bool>()});
    table.most_values = std::max(table.most_values, t.p.numel());
  }
  table.count = static_cast<int64_t>(rows.size());
  const auto bytes = static_cast<int64_t>(rows.size() * sizeof(kernels::AdamTensor));
  at::Tensor on_host = at::empty({bytes}, at::kByte);
  if (bytes > 0) std::memcpy(on_host.data_ptr(), rows.data(), static_cast<size_t>(bytes));
  table.rows = tensors.empty() ? on_host : on_host.to(tensors[0].p.device());
  return table;
}

void cuda_adam(const CudaAdamTable& table, const at::Tensor& control, double rate, const AdamOptions& options) {
  if (table.count == 0) return;
  const c10::DeviceGuard guard(table.rows.device());
  kernels::adam(static_cast<const kernels::AdamTensor*>(table.rows.const_data_ptr()), table.count, table.most_values,
                rule_of(rate, options), control_of(control), current_stream(table.rows));
}

}  // namespace hyperx::model

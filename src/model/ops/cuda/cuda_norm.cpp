#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>
#include <torch/csrc/autograd/custom_function.h>

#include "common/errors.h"
#include "model/ops/cuda/cuda_ops.h"
#include "model/ops/cuda/cuda_rows.h"
#include "model/ops/cuda/residual_norm.h"

namespace hyperx::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The tensors of one call, contiguous.
struct Terms {
  at::Tensor x, bias, first, second, weight, norm_bias;
  double epsilon;
};

struct Kept {
  at::Tensor y, sum, mean, scale;
};

Kept run_forward(const Terms& terms, const DeviceMask& mask, bool keeps_sum) {
  const c10::DeviceGuard guard(terms.x.device());
  const at::TensorOptions floats = terms.weight.options().requires_grad(false);
  Kept kept{at::empty_like(terms.x), {}, {}, {}};
  kernels::NormForward call;
  if (keeps_sum) {
    kept.sum = at::empty_like(terms.x);
    kept.mean = at::empty({terms.x.size(0)}, floats);
    kept.scale = at::empty({terms.x.size(0)}, floats);
    call.sum = kept.sum.data_ptr();
    call.mean = kept.mean.data_ptr<float>();
    call.scale = kept.scale.data_ptr<float>();
  }
  call.type = row_type_of(terms.x);
  call.rows = terms.x.size(0);
  call.width = terms.x.size(1);
  call.x = terms.x.const_data_ptr();
  call.bias = data_or_null(terms.bias);
  call.first = data_or_null(terms.first);
  call.second = data_or_null(terms.second);
  call.weight = terms.weight.const_data_ptr<float>();
  call.norm_bias = terms.norm_bias.const_data_ptr<float>();
  call.epsilon = static_cast<float>(terms.epsilon);
  call.mask = mask.mask();
  call.y = kept.y.data_ptr();
  kernels::residual_norm_forward(call, current_stream(terms.x));
  return kept;
}

class CudaResidualNorm : public torch::autograd::Function<CudaResidualNorm> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const std::optional<at::Tensor>& bias,
                            const at::Tensor& first, const std::optional<at::Tensor>& second, const at::Tensor& weight,
                            const at::Tensor& norm_bias, double epsilon, const std::optional<at::Tensor>& slots,
                            const std::optional<at::Tensor>& positions, const std::optional<at::Tensor>& key,
                            double probability) {
    const Terms terms{x.contiguous(),
                      bias ? bias->contiguous() : at::Tensor(),
                      first.contiguous(),
                      second ? second->contiguous() : at::Tensor(),
                      weight,
                      norm_bias,
                      epsilon};
    const at::Tensor none;
    const DeviceMask mask{slots.value_or(none), positions.value_or(none), key.value_or(none), probability};
    const Kept kept = run_forward(terms, mask, true);
    context->save_for_backward({kept.sum, kept.mean, kept.scale, weight, mask.slots, mask.positions, mask.key});
    context->saved_data["probability"] = probability;
    context->saved_data["bias"] = bias.has_value();
    context->saved_data["second"] = second.has_value();
    return kept.y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &sum = saved[0], &weight = saved[3];
    const DeviceMask mask{saved[4], saved[5], saved[6], context->saved_data["probability"].toDouble()};
    const bool has_bias = context->saved_data["bias"].toBool(), drops = mask.probability > 0;
    const c10::DeviceGuard guard(sum.device());
    const at::Tensor dy = gradients[0].contiguous(), dsum = at::empty_like(sum);
    const at::Tensor dx = drops ? at::empty_like(sum) : dsum;
    const at::TensorOptions floats = weight.options().requires_grad(false);
    const int64_t rows = sum.size(0), width = sum.size(1);
    const at::Tensor dweight_bias = at::empty({2, width}, floats);
    const at::Tensor dbias = has_bias ? at::empty({width}, sum.options()) : at::Tensor();
    const at::Tensor partials = at::empty({kernels::norm_partial_values(rows, width)}, floats);
    kernels::NormBackward call;
    call.type = row_type_of(sum);
    call.rows = rows;
    call.width = width;
    call.dy = dy.const_data_ptr();
    call.sum = sum.const_data_ptr();
    call.mean = saved[1].const_data_ptr<float>();
    call.scale = saved[2].const_data_ptr<float>();
    call.weight = weight.const_data_ptr<float>();
    call.mask = mask.mask();
    call.dsum = dsum.data_ptr();
    call.dx = dx.data_ptr();
    call.dweight_bias = dweight_bias.data_ptr<float>();
    call.dbias = data_or_null(dbias);
    call.partials = partials.data_ptr<float>();
    kernels::residual_norm_backward(call, current_stream(sum));
    return {dx,
            dbias,
            dsum,
            context->saved_data["second"].toBool() ? dsum : at::Tensor(),
            dweight_bias[0],
            dweight_bias[1],
            {},
            {},
            {},
            {},
            {}};
  }
};

std::optional<at::Tensor> optional_of(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional<at::Tensor>(tensor) : std::nullopt;
}

}  // namespace

at::Tensor cuda_residual_norm(const at::Tensor& x, const at::Tensor& bias, const SiteDropout& dropout,
                              const at::Tensor& first, const at::Tensor& second, const NormParameters& norm) {
  HYPERX_CHECK(norm.weight.scalar_type() == at::kFloat && norm.weight.is_contiguous() && norm.bias.is_contiguous(),
               "a norm's parameters are contiguous and fp32");
  const DeviceMask mask = device_mask(dropout, x);
  if (!at::GradMode::is_enabled()) {
    const auto whole = [](const at::Tensor& t) { return t.defined() ? t.contiguous() : t; };
    return run_forward({x.contiguous(), whole(bias), whole(first), whole(second), norm.weight, norm.bias, norm.epsilon},
                       mask, false)
        .y;
  }
  return CudaResidualNorm::apply(x, optional_of(bias), first, optional_of(second), norm.weight, norm.bias, norm.epsilon,
                                 optional_of(mask.slots), optional_of(mask.positions), optional_of(mask.key),
                                 mask.probability);
}

}  // namespace hyperx::model

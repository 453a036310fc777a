#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>
#include <torch/csrc/autograd/custom_function.h>

#include "common/errors.h"
#include "model/ops/cuda/cuda_ops.h"
#include "model/ops/cuda/cuda_rows.h"
#include "model/ops/cuda/elementwise.h"

namespace hyperx::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

kernels::Elements shape_of(const at::Tensor& rows) { return {row_type_of(rows), rows.size(0), rows.size(1)}; }

// Scratch memory for sums over rows.
at::Tensor partials_of(const at::Tensor& rows) {
  return at::empty({kernels::element_partial_values(rows.size(0), rows.size(1))},
                   rows.options().dtype(at::kFloat).requires_grad(false));
}

class CudaBiasedActivation : public torch::autograd::Function<CudaBiasedActivation> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& bias, int64_t kind) {
    const c10::DeviceGuard guard(x.device());
    const at::Tensor input = x.contiguous(), y = at::empty_like(input);
    const auto activation = static_cast<kernels::ActivationKind>(kind);
    kernels::biased_activation_forward(shape_of(input), activation, input.const_data_ptr(), bias.const_data_ptr(),
                                       y.data_ptr(), current_stream(input));
    context->save_for_backward({activation == kernels::ActivationKind::kGelu ? input : y, bias});
    context->saved_data["kind"] = kind;
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const c10::DeviceGuard guard(saved[0].device());
    const at::Tensor dy = gradients[0].contiguous(), dx = at::empty_like(dy);
    at::Tensor dbias, partials;
    if (context->needs_input_grad(1)) {
      dbias = at::empty({dy.size(1)}, dy.options());
      partials = partials_of(dy);
    }
    kernels::biased_activation_backward(
        shape_of(dy), static_cast<kernels::ActivationKind>(context->saved_data["kind"].toInt()),
        saved[0].const_data_ptr(), saved[1].const_data_ptr(), dy.const_data_ptr(), dx.data_ptr(), data_or_null(dbias),
        static_cast<float*>(data_or_null(partials)), current_stream(dy));
    return {dx, dbias, {}};
  }
};

class CudaKeyedDropout : public torch::autograd::Function<CudaKeyedDropout> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const std::optional<at::Tensor>& bias,
                            const at::Tensor& slots, const at::Tensor& positions, const at::Tensor& key,
                            double probability) {
    const c10::DeviceGuard guard(x.device());
    const DeviceMask mask{slots, positions, key, probability};
    const at::Tensor input = x.contiguous(), out = at::empty_like(input);
    const at::Tensor added = bias ? bias->contiguous() : at::Tensor();
    kernels::masked_sum(shape_of(input), input.const_data_ptr(), data_or_null(added), mask.mask(), out.data_ptr(),
                        nullptr, nullptr, current_stream(input));
    context->save_for_backward({slots, positions, key});
    context->saved_data["probability"] = probability;
    context->saved_data["bias"] = bias.has_value() && bias->requires_grad();
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const DeviceMask mask{saved[0], saved[1], saved[2], context->saved_data["probability"].toDouble()};
    const at::Tensor dy = gradients[0].contiguous(), dx = at::empty_like(dy);
    const c10::DeviceGuard guard(dy.device());
    at::Tensor dbias, partials;
    if (context->saved_data["bias"].toBool()) {
      dbias = at::empty({dy.size(1)}, dy.options());
      partials = partials_of(dy);
    }
    kernels::masked_sum(shape_of(dy), dy.const_data_ptr(), nullptr, mask.mask(), dx.data_ptr(), data_or_null(dbias),
                        static_cast<float*>(data_or_null(partials)), current_stream(dy));
    return {dx, dbias, {}, {}, {}, {}};
  }
};

}  // namespace

at::Tensor cuda_biased_activation(const at::Tensor& x, const at::Tensor& bias, Activation activation) {
  const auto kind = activation == Activation::kGelu ? kernels::ActivationKind::kGelu : kernels::ActivationKind::kRelu;
  return CudaBiasedActivation::apply(x, bias.contiguous(), static_cast<int64_t>(kind));
}

at::Tensor cuda_keyed_dropout(const at::Tensor& x, const at::Tensor& bias, const SiteDropout& dropout) {
  const DeviceMask mask = device_mask(dropout, x);
  return CudaKeyedDropout::apply(x, bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt, mask.slots,
                                 mask.positions, mask.key, dropout.probability);
}

at::Tensor cuda_embedding_sum(const at::Tensor& word, const at::Tensor& position, const at::Tensor& kind,
                              const at::Tensor& ids, const at::Tensor& positions, int64_t position_offset,
                              at::ScalarType type) {
  const int64_t width = word.size(1);
  HYPERX_CHECK(word.is_contiguous() && position.is_contiguous() && kind.is_contiguous() && position.size(1) == width &&
                   kind.size(1) == width && ids.numel() == positions.numel(),
               "embedding tables are contiguous and of one width");
  const c10::DeviceGuard guard(word.device());
  const at::Tensor own_ids = ids.contiguous(), own_positions = positions.contiguous();
  const at::Tensor out = at::empty({ids.numel(), width}, word.options().dtype(type).requires_grad(false));
  kernels::embedding_sum(
      shape_of(out), own_ids.const_data_ptr<int64_t>(), own_positions.const_data_ptr<int64_t>(),
      {word.const_data_ptr<float>(), position.const_data_ptr<float>(), kind.const_data_ptr<float>(), position_offset},
      out.data_ptr(), current_stream(out));
  return out;
}

}  // namespace hyperx::model

#include "model/ops/linear.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>

namespace hyperx::model {
namespace {

constexpr int64_t kTypicalRows = 640;  // hint for choosing the block layout; results are right for any number of rows

using OptionalTensor = std::optional<at::Tensor>;

at::Tensor pack(const at::Tensor& weight) {
  static const auto reorder = c10::Dispatcher::singleton()
                                  .findSchemaOrThrow("mkldnn::_reorder_linear_weight", "")
                                  .typed<at::Tensor(const at::Tensor&, std::optional<int64_t>)>();
  return reorder.call(weight.contiguous(), kTypicalRows);
}

at::Tensor packed_product(const at::Tensor& x, const at::Tensor& packed, const OptionalTensor& bias) {
  using Product = at::Tensor(const at::Tensor&, const at::Tensor&, const OptionalTensor&, std::string_view,
                             c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);
  static const auto product =
      c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_linear_pointwise", "").typed<Product>();
  return product.call(x, packed, bias, "none", c10::List<std::optional<at::Scalar>>(), "");
}

class PackedLinear : public torch::autograd::Function<PackedLinear> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& packed,
                            const at::Tensor& packed_transposed, const OptionalTensor& bias) {
    context->saved_data["transposed"] = packed_transposed;
    return packed_product(x.contiguous(), packed, bias);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    return {packed_product(gradients[0].contiguous(), context->saved_data["transposed"].toTensor(), std::nullopt),
            {},
            {},
            {}};
  }
};

}  // namespace

Linear::Linear(at::Tensor weight, at::Tensor bias, at::ScalarType compute)
    : weight_(std::move(weight)), bias_(std::move(bias)), compute_(compute) {
  const bool frozen = !weight_.requires_grad() && !bias_.requires_grad();
  if (!frozen || !weight_.is_cpu() || weight_.scalar_type() != at::kBFloat16 || !at::hasMKLDNN()) return;
  packed_ = pack(weight_);
  packed_transposed_ = pack(weight_.t());
  weight_.reset();
}

at::Tensor Linear::product(const at::Tensor& x) const {
  return is_packed() ? PackedLinear::apply(x, packed_, packed_transposed_, OptionalTensor())
                     : at::linear(x, weight_.to(compute_));
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  return is_packed() ? PackedLinear::apply(x, packed_, packed_transposed_, OptionalTensor(bias_))
                     : at::linear(x, weight_.to(compute_), bias_.to(compute_));
}

}  // namespace hyperx::model

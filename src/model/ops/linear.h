#pragma once

#include <ATen/core/Tensor.h>

namespace hyperx::model {

// y = x Wᵀ + b, x [rows, in].
class Linear {
 public:
  Linear() = default;
  // weight [out, in] and bias [out]; they are trained if they are autograd leaves, whose type may be wider than
  // `compute`, the type of the product. Frozen bf16 weights on the CPU are stored in oneDNN's blocked layout, once for
  // y and once for the gradient of x, instead of the given tensor; otherwise oneDNN would convert them at every
  // product.
  Linear(at::Tensor weight, at::Tensor bias, at::ScalarType compute);

  at::Tensor operator()(const at::Tensor& x) const;
  // Only x Wᵀ, for an operation that adds the bias itself.
  at::Tensor product(const at::Tensor& x) const;
  at::Tensor bias() const { return bias_.to(compute_); }
  bool is_packed() const { return packed_.defined(); }

 private:
  at::Tensor weight_, bias_;
  at::ScalarType compute_ = at::kFloat;
  at::Tensor packed_, packed_transposed_;  // opaque
};

}  // namespace hyperx::model

#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "model/ops/linear.h"

namespace hyperx::model {

// Gives a tensor of a name and shape: a trained parameter, or a value of the run that trained it.
using TensorSource = std::function<at::Tensor(const std::string& name, at::IntArrayRef shape)>;

// The bottleneck of one layer: x -> U relu(D x + b_D) + b_U, without the residual.
struct Bottleneck {
  Linear down, up;  // [width, hidden], [hidden, width]
};

// The NICE coupling of a language (Dinh et al. 2015): with the halves x1, x2 of x [rows, hidden],
// y1 = x1 + F(x2), y2 = x2 + G(y1), where F and G are Linear(h/2 -> h/4), ReLU, Linear(h/4 -> h/2).
class InvertibleAdapter {
 public:
  InvertibleAdapter(const TensorSource& source, int64_t hidden, at::ScalarType compute);
  at::Tensor forward(const at::Tensor& x) const;
  at::Tensor inverse(const at::Tensor& y) const;

 private:
  struct Half {
    Linear in, out;
    at::Tensor operator()(const at::Tensor& x) const;
  };
  at::ScalarType compute_;
  Half f_, g_;
};

// The bottlenecks of all layers.
std::vector<Bottleneck> make_bottlenecks(const TensorSource& source, int64_t layers, int64_t hidden, int64_t width,
                                         at::ScalarType compute);

}  // namespace hyperx::model

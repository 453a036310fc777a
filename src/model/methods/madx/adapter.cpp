#include "model/methods/madx/adapter.h"

#include <ATen/ATen.h>

namespace hyperx::model {
namespace {

Linear linear_of(const TensorSource& source, const std::string& name, int64_t out, int64_t in, at::ScalarType compute) {
  return {source(name + ".weight", {out, in}), source(name + ".bias", {out}), compute};
}

}  // namespace

InvertibleAdapter::InvertibleAdapter(const TensorSource& source, int64_t hidden, at::ScalarType compute)
    : compute_(compute) {
  const int64_t half = hidden / 2, quarter = half / 2;
  const auto make = [&](const std::string& name) {
    return Half{linear_of(source, "invertible." + name + ".0", quarter, half, compute),
                linear_of(source, "invertible." + name + ".1", half, quarter, compute)};
  };
  f_ = make("F");
  g_ = make("G");
}

at::Tensor InvertibleAdapter::Half::operator()(const at::Tensor& x) const { return out(at::relu(in(x))); }

at::Tensor InvertibleAdapter::forward(const at::Tensor& x) const {
  const int64_t half = x.size(1) / 2;
  const at::Tensor x2 = x.narrow(1, half, half);
  const at::Tensor y1 = x.narrow(1, 0, half) + f_(x2);
  return at::cat({y1, x2 + g_(y1)}, 1);
}

at::Tensor InvertibleAdapter::inverse(const at::Tensor& y) const {
  const int64_t half = y.size(1) / 2;
  const at::Tensor y1 = y.narrow(1, 0, half);
  const auto wide = [&](const at::Tensor& x) { return x.to(y.scalar_type()); };
  const at::Tensor x2 = y.narrow(1, half, half) - wide(g_(y1.to(compute_)));
  return at::cat({y1 - wide(f_(x2.to(compute_))), x2}, 1);
}

std::vector<Bottleneck> make_bottlenecks(const TensorSource& source, int64_t layers, int64_t hidden, int64_t width,
                                         at::ScalarType compute) {
  std::vector<Bottleneck> made;
  for (int64_t layer = 0; layer < layers; ++layer) {
    const std::string at = "layers." + std::to_string(layer) + ".";
    made.push_back(
        {linear_of(source, at + "down", width, hidden, compute), linear_of(source, at + "up", hidden, width, compute)});
  }
  return made;
}

}  // namespace hyperx::model

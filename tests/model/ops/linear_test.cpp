#include "model/ops/linear.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace hyperx::model {
namespace {

struct Result {
  at::Tensor y, dx;
};

Result product(const Linear& linear, const at::Tensor& x, const at::Tensor& dy) {
  const at::Tensor input = x.detach().clone().set_requires_grad(true);
  const at::Tensor y = linear(input);
  y.backward(dy.to(y.scalar_type()));
  return {y.detach().to(at::kDouble), input.grad().to(at::kDouble)};
}

// bf16 keeps 8 bits: a result differs from the exact product of the same bf16 values by half of its last place, 2⁻⁹.
TEST(LinearTest, PackedWeightsGiveTheProductAndItsGradient) {
  for (const auto& [rows, in, out] : {std::tuple{1, 32, 64}, {7, 48, 40}, {233, 384, 1152}, {64, 129, 65}}) {
    at::manual_seed(rows);
    const at::Tensor weight = at::randn({out, in}).to(at::kBFloat16), bias = at::randn({out}).to(at::kBFloat16);
    const at::Tensor x = at::randn({rows, in}).to(at::kBFloat16), dy = at::randn({rows, out}).to(at::kBFloat16);
    const Linear packed(weight, bias, at::kBFloat16);
    ASSERT_TRUE(packed.is_packed());
    const Result found = product(packed, x, dy);
    const Result exact =
        product(Linear(weight.to(at::kDouble), bias.to(at::kDouble), at::kDouble), x.to(at::kDouble), dy);
    EXPECT_LT((found.y - exact.y).abs().max().item<double>(), exact.y.abs().max().item<double>() / 256);
    EXPECT_LT((found.dx - exact.dx).abs().max().item<double>(), exact.dx.abs().max().item<double>() / 256);
    EXPECT_LT(((found.y - exact.y) / exact.y.abs().clamp_min(0.1)).abs().mean().item<double>(), 1.0 / 256);
  }
}

// Whether the graph of a product keeps the product's input alive.
bool keeps_input(const Linear& linear, at::ScalarType type) {
  const at::Tensor leaf = at::randn({16, 32}).to(type).set_requires_grad(true);
  at::Tensor input = leaf.clone();
  const c10::weak_intrusive_ptr<c10::StorageImpl> storage = input.storage().getWeakStorageImpl();
  const at::Tensor output = linear(input);
  EXPECT_TRUE(output.requires_grad());
  input.reset();
  return !storage.expired();
}

TEST(LinearTest, FrozenWeightsKeepNoInput) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kBFloat16}) {
    const at::Tensor weight = at::randn({24, 32}).to(type), bias = at::randn({24}).to(type);
    EXPECT_FALSE(keeps_input(Linear(weight, bias, type), type)) << type;
    EXPECT_TRUE(keeps_input(Linear(weight.clone().set_requires_grad(true), bias, type), type)) << type;
  }
}

TEST(LinearTest, OthersStayAsTheyAre) {
  const at::Tensor weight = at::randn({8, 4}), bias = at::randn({8});
  EXPECT_FALSE(Linear(weight, bias, weight.scalar_type()).is_packed());
  const at::Tensor learning = weight.to(at::kBFloat16).set_requires_grad(true);
  EXPECT_FALSE(Linear(learning, bias.to(at::kBFloat16), at::kBFloat16).is_packed());
}

}  // namespace
}  // namespace hyperx::model

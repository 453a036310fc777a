#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "model/ops/cpu/activation.h"
#include "model/ops/cpu/residual_norm.h"

// The fused kernels against the same written with LibTorch's operations in fp64.
namespace hyperx::model {
namespace {

// Of the last place of the type, relative to values of size 1 to 10: what a few roundings leave.
double tolerance(at::ScalarType type) { return type == at::kDouble ? 1e-13 : type == at::kFloat ? 4e-6 : 6e-2; }

at::Tensor leaf(const at::Tensor& values, at::ScalarType type) {
  return values.to(type).detach().clone().set_requires_grad(true);
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

RowKeys keys_of(int64_t rows) {
  const at::Tensor index = at::arange(rows, at::kLong);
  return {index.div(5, "floor"), index.remainder(5)};
}

class FusedTest : public testing::TestWithParam<at::ScalarType> {};

TEST_P(FusedTest, ActivationsAndTheirGradients) {
  for (const Activation kind : {Activation::kGelu, Activation::kRelu})
    for (const auto& [rows, width] : {std::pair{1, 1}, {3, 17}, {70, 128}}) {
      at::manual_seed(rows);
      const at::Tensor start = at::randn({rows, width}, at::kDouble) * 3, shift = at::randn({width}, at::kDouble);
      const at::Tensor weight = at::randn({rows, width}, at::kDouble).to(GetParam());
      const at::Tensor x = leaf(start, GetParam()), bias = leaf(shift, GetParam());
      const at::Tensor wide_x = leaf(x, at::kDouble), wide_bias = leaf(bias, at::kDouble);
      const at::Tensor y = biased_activation(x, bias, kind), sum = wide_x + wide_bias;
      const at::Tensor expected = kind == Activation::kGelu ? at::gelu(sum) : at::relu(sum);
      (y * weight).sum().backward();
      (expected * weight.to(at::kDouble)).sum().backward();
      EXPECT_LT(distance(y, expected), tolerance(GetParam()) * 3);
      EXPECT_LT(distance(x.grad(), wide_x.grad()), tolerance(GetParam()) * 2);
      EXPECT_LT(distance(bias.grad(), wide_bias.grad()), tolerance(GetParam()) * (4 + std::sqrt(rows)));
    }
}

// Far out, GELU is x or 0 and its slope 1 or 0.
TEST_P(FusedTest, GeluFarOut) {
  const at::Tensor x = at::tensor({-60.0, -13.0, 0.0, 13.0, 60.0}, at::kDouble).to(GetParam()).view({1, 5});
  const at::Tensor input = leaf(x, GetParam());
  const at::Tensor y = biased_activation(input, at::zeros({5}, GetParam()), Activation::kGelu);
  EXPECT_LT(distance(y, at::relu(x)), 1e-30);
  y.sum().backward();
  EXPECT_LT(distance(input.grad(), at::tensor({0.0, 0.0, 0.5, 1.0, 1.0}, at::kDouble).view({1, 5})), 1e-30);
}

struct Terms {
  at::Tensor x, bias, first, second, weight, norm_bias;
  std::vector<at::Tensor> all() const { return {x, bias, first, second, weight, norm_bias}; }
};

TEST_P(FusedTest, NormOfASumAndItsGradients) {
  const at::ScalarType wide = GetParam() == at::kDouble ? at::kDouble : at::kFloat;
  for (const double probability : {0.0, 0.25})
    for (const bool has_second : {false, true}) {
      at::manual_seed(7);
      const int64_t rows = 75, width = 200;
      const auto draw = [&](at::IntArrayRef shape) { return at::randn(shape, at::kDouble); };
      Terms terms{leaf(draw({rows, width}), GetParam()), leaf(draw({width}), GetParam()),
                  leaf(draw({rows, width}), GetParam()), leaf(draw({rows, width}), GetParam()),
                  leaf(draw({width}) + 1, wide),         leaf(draw({width}), wide)};
      Terms exact{leaf(terms.x, at::kDouble),      leaf(terms.bias, at::kDouble),   leaf(terms.first, at::kDouble),
                  leaf(terms.second, at::kDouble), leaf(terms.weight, at::kDouble), leaf(terms.norm_bias, at::kDouble)};
      const SiteDropout dropout{keys_of(rows), probability, {PhiloxKey{3, 4}}};
      const at::Tensor y =
          residual_norm(terms.x, terms.bias, dropout, terms.first, has_second ? terms.second : at::Tensor(),
                        {terms.weight, terms.norm_bias, 1e-6});
      at::Tensor sum = exact.x + exact.bias;
      if (probability > 0) sum = sum * keyed_dropout_mask(dropout, width, at::kDouble);
      sum = sum + exact.first;
      if (has_second) sum = sum + exact.second;
      const at::Tensor expected = at::layer_norm(sum, {width}, exact.weight, exact.norm_bias, 1e-6);
      const at::Tensor above = draw({rows, width}).to(GetParam());
      (y * above).sum().backward();
      (expected * above.to(at::kDouble)).sum().backward();
      EXPECT_LT(distance(y, expected), tolerance(GetParam()) * 4);
      for (size_t i = 0; i < terms.all().size(); ++i) {
        const at::Tensor found = terms.all()[i].grad(), right = exact.all()[i].grad();
        ASSERT_EQ(found.defined(), i != 3 || has_second) << i;
        if (!found.defined()) continue;
        EXPECT_LT(distance(found, right), tolerance(GetParam()) * (found.dim() == 1 ? 40 : 8)) << i;
      }
      at::NoGradGuard no_gradient;  // the way of evaluation, which keeps no sum
      EXPECT_TRUE(
          at::equal(residual_norm(terms.x, terms.bias, dropout, terms.first, has_second ? terms.second : at::Tensor(),
                                  {terms.weight, terms.norm_bias, 1e-6}),
                    y));
    }
}

INSTANTIATE_TEST_SUITE_P(Types, FusedTest, testing::Values(at::kFloat, at::kDouble, at::kBFloat16),
                         [](const auto& type) { return std::string(c10::toString(type.param)); });

// Sums over rows do not depend on how many threads share them.
TEST(FusedThreads, GradientsHaveTheSameBits) {
  at::manual_seed(3);
  const at::Tensor x = at::randn({210, 96}), above = at::randn({210, 96});
  const auto gradients = [&](int threads) {
    at::set_num_threads(threads);
    const at::Tensor input = leaf(x, at::kFloat), bias = leaf(at::ones({96}), at::kFloat);
    const at::Tensor weight = leaf(at::ones({96}), at::kFloat), norm_bias = leaf(at::zeros({96}), at::kFloat);
    const at::Tensor active = biased_activation(input, bias, Activation::kGelu);
    (residual_norm(active, bias, {}, input, {}, {weight, norm_bias, 1e-12}) * above).sum().backward();
    return at::cat({input.grad().view(-1), bias.grad(), weight.grad(), norm_bias.grad()});
  };
  const int before = at::get_num_threads();
  const at::Tensor one = gradients(1), three = gradients(3);
  at::set_num_threads(before);
  EXPECT_TRUE(at::equal(one, three));
}

}  // namespace
}  // namespace hyperx::model

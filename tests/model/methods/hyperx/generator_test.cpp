#include "model/methods/hyperx/generator.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>

namespace hyperx::model {
namespace {

class GeneratorTest : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    at::manual_seed(7);
    const at::TensorOptions options = at::TensorOptions().dtype(GetParam());
    w_ = at::randn({300, 14}, options);
    c_ = at::randn({300}, options);
    s_ = at::randn({5, 14}, options);
    g_ =
        at::randn({5, 2, 300}, options).select(1, 1);  // rows that lie apart, as where each layer has its own generator
    tolerance_ = GetParam() == at::kDouble ? 1e-12 : 1e-5;
  }
  at::Tensor dense() const { return at::mm(g_.t(), s_); }
  void expect_near(const at::Tensor& a, const at::Tensor& b) const {
    EXPECT_LT((a - b).abs().max().item<double>(), tolerance_ * (1 + b.abs().max().item<double>()));
  }
  at::Tensor w_, c_, s_, g_;
  double tolerance_ = 0;
};

TEST_P(GeneratorTest, GeneratesThetaFromSources) {
  at::Tensor theta = at::empty({5, 300}, w_.options());
  generate(w_, c_, s_, theta);
  expect_near(theta, at::mm(s_, w_.t()) + c_);
}

TEST_P(GeneratorTest, FactoredNormIsTheDenseOne) {
  const double expected = std::pow(dense().norm().item<double>(), 2) + std::pow(g_.sum(0).norm().item<double>(), 2);
  EXPECT_NEAR(factored_norm_squared(factor_sums(w_, g_).gram, s_).item<double>(), expected, tolerance_ * expected);
}

TEST_P(GeneratorTest, SourceGradientReadsW) {
  expect_near(factor_sums(w_, g_).source_gradient, at::mm(g_, w_).to(at::kDouble));
}

// Whole tiles and not, widths with and without padding; parts of the rows add up; any number of threads, same bits.
TEST_P(GeneratorTest, SumsOfAllSizes) {
  for (const auto& [theta, projected, rows] : {std::tuple{1, 1, 1}, {64, 32, 12}, {5000, 33, 13}, {9000, 192, 24}}) {
    const at::Tensor w = at::randn({theta, projected}, GetParam()), g = at::randn({rows, theta}, GetParam());
    const FactorSums sums = factor_sums(w, g);
    const at::Tensor wide_w = w.to(at::kDouble), wide_g = g.to(at::kDouble);
    const double size = std::sqrt(static_cast<double>(theta));  // of a sum of so many products of unit size
    const at::Tensor ds = at::mm(wide_g, wide_w), gram = at::mm(wide_g, wide_g.t());
    EXPECT_LT((sums.source_gradient - ds).abs().max().item<double>(), tolerance_ * size) << theta;
    EXPECT_LT((sums.gram - gram).abs().max().item<double>(), 1e-12 * (1 + gram.abs().max().item<double>())) << theta;
    const int64_t half = theta / 2;
    if (half > 0) {
      const FactorSums first = factor_sums(w.narrow(0, 0, half), g.narrow(1, 0, half));
      const FactorSums last = factor_sums(w.narrow(0, half, theta - half), g.narrow(1, half, theta - half));
      EXPECT_LT((first.source_gradient + last.source_gradient - ds).abs().max().item<double>(), tolerance_ * size);
    }
    const int threads = at::get_num_threads();
    at::set_num_threads(threads == 1 ? 3 : 1);
    const FactorSums again = factor_sums(w, g);
    at::set_num_threads(threads);
    EXPECT_TRUE(at::equal(again.source_gradient, sums.source_gradient) && at::equal(again.gram, sums.gram));
  }
}

// The update from factors is Adam with the dense gradient: several steps, clip and decay on.
TEST_P(GeneratorTest, LowRankUpdateIsTheDenseUpdate) {
  const AdamOptions options{0.9, 0.999, 1e-8, 0.01};
  AdamOptions bias_options = options;
  bias_options.weight_decay = 0;
  at::Tensor w1 = w_.clone(), c1 = c_.clone(), w2 = w_.clone(), c2 = c_.clone();
  at::Tensor w_m1 = at::zeros_like(w_), w_v1 = at::zeros_like(w_), c_m1 = at::zeros_like(c_), c_v1 = at::zeros_like(c_);
  at::Tensor w_m2 = at::zeros_like(w_), w_v2 = at::zeros_like(w_), c_m2 = at::zeros_like(c_), c_v2 = at::zeros_like(c_);
  for (int64_t step = 1; step <= 4; ++step) {
    low_rank_adam_update(w1, c1, w_m1, w_v1, c_m1, c_v1, g_, s_, step, 1e-2, 0.3, options);
    adam_update(w2, dense(), w_m2, w_v2, step, 1e-2, 0.3, options);
    adam_update(c2, g_.sum(0).contiguous(), c_m2, c_v2, step, 1e-2, 0.3, bias_options);
    s_ = s_ * 0.9;
  }
  expect_near(w1, w2);
  expect_near(c1, c2);
  expect_near(w_m1, w_m2);
  expect_near(w_v1, w_v2);
  EXPECT_GT((w1 - w_).abs().max().item<double>(), 1e-3);
}

INSTANTIATE_TEST_SUITE_P(Types, GeneratorTest, testing::Values(at::kFloat, at::kDouble));

// Epsilon is added to sqrt(v) before the bias correction, as the release does: with a tiny gradient the two orders
// differ.
TEST(AdamUpdate, AddsEpsilonBeforeTheBiasCorrection) {
  at::Tensor p = at::zeros({1}, at::kDouble), m = at::zeros_like(p), v = at::zeros_like(p);
  const double gradient = 1e-8, rate = 0.1;
  adam_update(p, at::full({1}, gradient, at::kDouble), m, v, 1, rate, 1.0, {});
  const double expected =
      -rate * std::sqrt(1 - 0.999) / (1 - 0.9) * (0.1 * gradient) / (std::sqrt(0.001 * gradient * gradient) + 1e-8);
  EXPECT_NEAR(p.item<double>(), expected, 1e-15);
}

}  // namespace
}  // namespace hyperx::model

#include <cmath>
#include <tuple>

#include "model/methods/hyperx/generator.h"
#include "model/ops/cuda/generator.h"
#include "tests/model/cuda/kernel_test.h"

namespace hyperx::model {
namespace {

struct Size {
  int64_t theta, projected, rows;
};
std::ostream& operator<<(std::ostream& out, const Size& size) {
  return out << size.theta << " x " << size.projected << ", " << size.rows << " sources";
}

// W, c, their moments, s and g of one size; g's rows lie apart.
struct Update {
  at::Tensor w, c, w_m, w_v, c_m, c_v, s, g;
  at::Tensor s_next;
  kernels::UpdateControl control{0.3F, 1};
  int64_t count = 4;

  explicit Update(const Size& size) {
    at::manual_seed(size.theta);
    w = at::randn({size.theta, size.projected});
    c = at::randn({size.theta});
    w_m = at::randn({size.theta, size.projected}) * 0.1;
    w_v = at::rand({size.theta, size.projected});
    c_m = at::randn({size.theta}) * 0.1;
    c_v = at::rand({size.theta});
    s = at::randn({size.rows, size.projected});
    s_next = at::randn({size.rows + 1, size.projected});
    g = at::randn({size.rows, size.theta + 3}).narrow(1, 1, size.theta);
  }
  kernels::GeneratorSize size() const { return {w.size(0), w.size(1)}; }
  std::vector<at::Tensor> all() const { return {w, c, w_m, w_v, c_m, c_v}; }
  kernels::LowRankAdam call() {
    kernels::LowRankAdam call;
    call.size = size();
    call.w = w.data_ptr<float>();
    call.w_m = w_m.data_ptr<float>();
    call.w_v = w_v.data_ptr<float>();
    call.c = c.data_ptr<float>();
    call.c_m = c_m.data_ptr<float>();
    call.c_v = c_v.data_ptr<float>();
    call.sources = {s.size(0), s.data_ptr<float>()};
    call.g = g.data_ptr<float>();
    call.g_stride = g.stride(0);
    call.rule = {1e-2, 0.9, 0.999, 1e-8, 0.01};
    call.control = &control;
    call.count = &count;
    return call;
  }
  void ask_for_next(kernels::LowRankAdam& call, const at::Tensor& theta) const {
    call.next = {s_next.size(0), s_next.data_ptr<float>()};
    call.theta_next = theta.data_ptr<float>();
    call.theta_next_stride = theta.stride(0);
  }
  at::Tensor generated(const at::Tensor& sources) const {
    at::Tensor theta = at::full({sources.size(0), w.size(0) + 5}, 77.0F);
    kernels::generate(size(), w.data_ptr<float>(), c.data_ptr<float>(), {sources.size(0), sources.data_ptr<float>()},
                      theta.data_ptr<float>(), theta.stride(0), nullptr);
    return theta;
  }
};

class GeneratorKernelTest : public testing::TestWithParam<Size> {};

// Measured: 2.1e-7 of the largest theta.
TEST_P(GeneratorKernelTest, GeneratesTheta) {
  const Update input(GetParam());
  const at::Tensor found = input.generated(input.s);
  const at::Tensor right = at::mm(input.s.to(at::kDouble), input.w.to(at::kDouble).t()) + input.c.to(at::kDouble);
  const double distance = relative_distance(found.narrow(1, 0, input.w.size(0)), right);
  EXPECT_LT(distance, 1e-6);
  EXPECT_TRUE(found.narrow(1, input.w.size(0), 5).eq(77.0F).all().item<bool>());  // between the rows
}

// Measured, of the largest value: ds 3.0e-7, the Gram matrix 3.5e-16.
TEST_P(GeneratorKernelTest, SumsOfFactors) {
  const Update input(GetParam());
  const int64_t rows = GetParam().rows, projected = GetParam().projected, count = rows * (projected + rows);
  const Guarded sums({count}, at::kDouble), partials({kernels::factor_partial_values(input.size(), rows)}, at::kDouble);
  kernels::factor_sums(input.size(), input.w.data_ptr<float>(), rows, input.g.data_ptr<float>(), input.g.stride(0),
                       sums.tensor().data_ptr<double>(), partials.tensor().data_ptr<double>(), nullptr);
  EXPECT_TRUE(sums.margins_are_whole() && partials.margins_are_whole());
  const FactorSums cpu = factor_sums(input.w.to(at::kDouble), input.g.to(at::kDouble).contiguous());
  const double ds =
      relative_distance(sums.tensor().narrow(0, 0, rows * projected).view({rows, projected}), cpu.source_gradient);
  const double gram =
      relative_distance(sums.tensor().narrow(0, rows * projected, rows * rows).view({rows, rows}), cpu.gram);
  EXPECT_LT(ds, 1e-6);
  EXPECT_LT(gram, 1e-14);
}

// Against the CPU's update in fp64. Measured: 2.5e-7 of the largest value.
TEST_P(GeneratorKernelTest, UpdatesFromFactors) {
  Update input(GetParam());
  std::vector<at::Tensor> right;
  for (const at::Tensor& tensor : input.all()) right.push_back(tensor.to(at::kDouble));
  low_rank_adam_update(right[0], right[1], right[2], right[3], right[4], right[5], input.g.to(at::kDouble).contiguous(),
                       input.s.to(at::kDouble), input.count, 1e-2, input.control.scale, {0.9, 0.999, 1e-8, 0.01});
  kernels::low_rank_adam(input.call(), nullptr);
  for (size_t i = 0; i < right.size(); ++i) {
    const double distance = relative_distance(input.all()[i], right[i]);
    EXPECT_LT(distance, 1e-6) << i;
  }
  EXPECT_EQ(input.count, 4);
}

// theta made beside the update has the bits that generate() gives afterwards; and asking for it changes no other bit.
TEST_P(GeneratorKernelTest, NextThetaIsGeneratedTheta) {
  Update alone(GetParam()), both(GetParam());
  kernels::low_rank_adam(alone.call(), nullptr);
  kernels::LowRankAdam call = both.call();
  const at::Tensor theta = at::full({both.s_next.size(0), both.w.size(0) + 5}, 77.0F);
  both.ask_for_next(call, theta);
  kernels::low_rank_adam(call, nullptr);
  for (size_t i = 0; i < both.all().size(); ++i) EXPECT_TRUE(at::equal(both.all()[i], alone.all()[i])) << i;
  EXPECT_TRUE(at::equal(theta, both.generated(both.s_next)));
}

// Without an update nothing changes, and the next theta comes from the W that there is.
TEST_P(GeneratorKernelTest, NothingIsUpdatedWhereTheGradientIsNotFinite) {
  Update input(GetParam());
  const Update before(GetParam());
  input.control = {std::nanf(""), 0};
  if (input.g.numel() > 0) input.g.fill_(std::nanf(""));
  kernels::low_rank_adam(input.call(), nullptr);
  kernels::LowRankAdam call = input.call();
  const at::Tensor theta = at::full({input.s_next.size(0), input.w.size(0) + 5}, 77.0F);
  input.ask_for_next(call, theta);
  kernels::low_rank_adam(call, nullptr);
  for (size_t i = 0; i < input.all().size(); ++i) EXPECT_TRUE(at::equal(input.all()[i], before.all()[i])) << i;
  EXPECT_TRUE(at::equal(theta, before.generated(before.s_next)));
}

// Widths in registers by 1 to 4 chunks and beyond, whole and odd; rows of W that fill no tile; sources in one group, in
// several, and in several passes.
INSTANTIATE_TEST_SUITE_P(Sizes, GeneratorKernelTest,
                         testing::Values(Size{2500, 192, 12}, Size{1, 1, 1}, Size{7, 14, 5}, Size{8, 64, 4},
                                         Size{1025, 128, 13}, Size{77, 190, 12}, Size{130, 256, 3}, Size{41, 300, 6},
                                         Size{90, 20, 50}, Size{64, 1028, 2}, Size{0, 192, 12}));

TEST(GeneratorKernel, SourcesThatDoNotFitAreRefused) {
  EXPECT_TRUE(kernels::low_rank_adam_fits(100, 100, 192));
  EXPECT_FALSE(kernels::low_rank_adam_fits(200, 100, 192));
  EXPECT_TRUE(kernels::low_rank_adam_fits(12, 0, 4096));
  Update input({4, 192, 300});
  EXPECT_THROW(kernels::low_rank_adam(input.call(), nullptr), std::runtime_error);
}

// Tensors of several sizes and counts in one call; the same arithmetic as the CPU's in fp64. Measured: 8.4e-8.
TEST(AdamKernel, UpdatesManyTensors) {
  at::manual_seed(8);
  const std::vector<int64_t> sizes = {1, 5000, 256, 0, 1023};
  std::vector<at::Tensor> p, g, m, v;
  const std::vector<int64_t> counts = {1, 2, 8, 101, 100001};
  const bool active[] = {true, true, true, true, false};
  std::vector<kernels::AdamTensor> table;
  for (const int64_t size : sizes) {
    p.push_back(at::randn({size}));
    g.push_back(at::randn({size}));
    m.push_back(at::randn({size}) * 0.1);
    v.push_back(at::rand({size}));
    table.push_back({p.back().data_ptr<float>(), g.back().data_ptr<float>(), m.back().data_ptr<float>(),
                     v.back().data_ptr<float>(), size, &counts[table.size()], &active[table.size()]});
  }
  const auto copy = [](const std::vector<at::Tensor>& tensors) {
    std::vector<at::Tensor> copies;
    for (const at::Tensor& tensor : tensors) copies.push_back(tensor.clone());
    return copies;
  };
  const std::vector<at::Tensor> p0 = copy(p), m0 = copy(m), v0 = copy(v);
  const kernels::AdamRule rule{1e-2, 0.9, 0.999, 1e-8, 0.01};
  const auto run = [&](const kernels::UpdateControl& control) {
    kernels::adam(table.data(), static_cast<int64_t>(table.size()), 5000, rule, &control, nullptr);
  };
  run({std::nanf(""), 0});
  for (size_t i = 0; i < sizes.size(); ++i)
    EXPECT_TRUE(at::equal(p[i], p0[i]) && at::equal(m[i], m0[i]) && at::equal(v[i], v0[i]));
  run({0.3F, 1});
  for (size_t i = 0; i < sizes.size(); ++i) {
    at::Tensor right = p0[i].to(at::kDouble), right_m = m0[i].to(at::kDouble), right_v = v0[i].to(at::kDouble);
    if (active[i])
      adam_update(right, g[i].to(at::kDouble), right_m, right_v, counts[i], 1e-2, 0.3F, {0.9, 0.999, 1e-8, 0.01});
    EXPECT_LT(relative_distance(p[i], right), 1e-6);
    EXPECT_LT(relative_distance(m[i], right_m), 1e-6);
    EXPECT_LT(relative_distance(v[i], right_v), 1e-6);
  }
}

}  // namespace
}  // namespace hyperx::model

#include <tuple>

#include "model/ops/cpu/residual_norm.h"
#include "model/ops/cuda/residual_norm.h"
#include "tests/model/cuda/kernel_test.h"

namespace hyperx::model {
namespace {

struct Case {
  int64_t rows, width;
  double probability;
  bool bias, second;
  bool aligned = true;
};
std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.rows << " x " << c.width << ", dropout " << c.probability << ", bias " << c.bias << ", second "
             << c.second << ", aligned " << c.aligned;
}

class NormKernelTest : public testing::TestWithParam<std::tuple<at::ScalarType, Case>> {};

// Against the CPU's kernel in fp64 (fp32 rows) or bf16 (bf16 rows: both round the sum that the backward pass reads).
// Measured, of the largest value: fp32 2.3e-7; bf16 7.5e-4, where a
// few values round the other way, and 3.1e-7 of the sums in fp32.
TEST_P(NormKernelTest, IsTheCpuKernel) {
  const auto& [type, c] = GetParam();
  at::manual_seed(5);
  const MaskInput mask(c.rows, c.probability);
  const at::Tensor x = draw({c.rows, c.width}, type), first = draw({c.rows, c.width}, type);
  const at::Tensor bias = c.bias ? draw({c.width}, type) : at::Tensor();
  const at::Tensor second = c.second ? draw({c.rows, c.width}, type) : at::Tensor();
  const at::Tensor weight = draw({c.width}, at::kFloat) + 1, norm_bias = draw({c.width}, at::kFloat);
  const at::Tensor dy = draw({c.rows, c.width}, type);

  const at::ScalarType reference = type == at::kFloat ? at::kDouble : type;
  const at::ScalarType wide = type == at::kFloat ? at::kDouble : at::kFloat;
  const auto leaf = [](const at::Tensor& t, at::ScalarType as) {
    return t.defined() ? t.to(as, false, true).set_requires_grad(true) : at::Tensor();
  };
  const at::Tensor rx = leaf(x, reference), rbias = leaf(bias, reference), rfirst = leaf(first, reference),
                   rsecond = leaf(second, reference), rweight = leaf(weight, wide), rnorm_bias = leaf(norm_bias, wide);
  const at::Tensor right =
      residual_norm(rx, rbias, {mask.rows, c.probability, {mask.key}}, rfirst, rsecond, {rweight, rnorm_bias, 1e-6});
  right.backward(dy.to(reference));

  const Guarded y({c.rows, c.width}, type, c.aligned), sum({c.rows, c.width}, type), mean({c.rows}, at::kFloat),
      scale({c.rows}, at::kFloat);
  kernels::NormForward forward;
  forward.type = row_type(type);
  forward.rows = c.rows;
  forward.width = c.width;
  forward.x = pointer(x);
  forward.bias = pointer(bias);
  forward.first = pointer(first);
  forward.second = pointer(second);
  forward.weight = weight.data_ptr<float>();
  forward.norm_bias = norm_bias.data_ptr<float>();
  forward.epsilon = 1e-6F;
  forward.mask = mask.mask();
  forward.y = y.data();
  forward.sum = sum.data();
  forward.mean = mean.floats();
  forward.scale = scale.floats();
  kernels::residual_norm_forward(forward, nullptr);

  const Guarded dsum({c.rows, c.width}, type), dx({c.rows, c.width}, type), dweight_bias({2, c.width}, at::kFloat),
      dbias({c.width}, type), partials({kernels::norm_partial_values(c.rows, c.width)}, at::kFloat);
  kernels::NormBackward backward;
  backward.type = row_type(type);
  backward.rows = c.rows;
  backward.width = c.width;
  backward.dy = pointer(dy);
  backward.sum = sum.data();
  backward.mean = mean.floats();
  backward.scale = scale.floats();
  backward.weight = weight.data_ptr<float>();
  backward.mask = mask.mask();
  backward.dsum = dsum.data();
  backward.dx = dx.data();
  backward.dweight_bias = dweight_bias.floats();
  backward.dbias = c.bias ? dbias.data() : nullptr;
  backward.partials = partials.floats();
  kernels::residual_norm_backward(backward, nullptr);

  for (const Guarded* out : {&y, &sum, &mean, &scale, &dsum, &dx, &dweight_bias, &dbias, &partials})
    EXPECT_TRUE(out->margins_are_whole());
  const double limit = type == at::kFloat ? 2e-6 : 0x1p-8;
  const auto expect_near = [&](const at::Tensor& found, const at::Tensor& expected, const char* what) {
    const double distance = relative_distance(found, expected);
    EXPECT_LT(distance, limit) << what;
  };
  expect_near(y.tensor(), right, "y");
  expect_near(dsum.tensor(), rfirst.grad(), "dsum");
  if (c.second) expect_near(dsum.tensor(), rsecond.grad(), "dsecond");
  expect_near(c.probability > 0 ? dx.tensor() : dsum.tensor(), rx.grad(), "dx");
  expect_near(dweight_bias.tensor()[0], rweight.grad(), "dweight");
  expect_near(dweight_bias.tensor()[1], rnorm_bias.grad(), "dnorm_bias");
  if (c.bias) expect_near(dbias.tensor(), rbias.grad(), "dbias");
}

INSTANTIATE_TEST_SUITE_P(
    Cases, NormKernelTest,
    testing::Combine(testing::Values(at::kFloat, at::kBFloat16),
                     testing::Values(Case{37, 768, 0.1, true, true}, Case{70, 768, 0.1, true, false},
                                     Case{16, 768, 0, true, true}, Case{5, 768, 0, false, false},
                                     Case{33, 768, 0.5, true, false, false}, Case{1, 768, 0.1, true, true},
                                     Case{0, 768, 0.1, true, true}, Case{19, 770, 0.1, true, true},
                                     Case{3, 1, 0, true, false}, Case{21, 17, 0.3, true, true},
                                     Case{18, 384, 0.1, true, true}, Case{9, 1024, 0.1, true, false},
                                     Case{4, 2048, 0.1, true, true}, Case{300, 8, 0, true, false})));

// Plain LayerNorm: no other term, nothing kept.
TEST(NormKernel, PlainLayerNorm) {
  const at::Tensor x = draw({6, 768}, at::kFloat), weight = draw({768}, at::kFloat), bias = draw({768}, at::kFloat);
  const Guarded y({6, 768}, at::kFloat);
  kernels::NormForward forward;
  forward.rows = 6;
  forward.width = 768;
  forward.x = pointer(x);
  forward.weight = weight.data_ptr<float>();
  forward.norm_bias = bias.data_ptr<float>();
  forward.epsilon = 1e-12F;
  forward.y = y.data();
  kernels::residual_norm_forward(forward, nullptr);
  EXPECT_LT(relative_distance(y.tensor(), at::layer_norm(x, {768}, weight, bias, 1e-12)), 2e-6);
  EXPECT_TRUE(y.margins_are_whole());
}

TEST(NormKernel, TooWideARowIsRefused) {
  kernels::NormForward forward;
  forward.rows = 1;
  forward.width = kernels::kMaxNormWidth + 1;
  EXPECT_THROW(kernels::residual_norm_forward(forward, nullptr), std::runtime_error);
}

}  // namespace
}  // namespace hyperx::model

#include <tuple>

#include "model/ops/cpu/activation.h"
#include "model/ops/cuda/elementwise.h"
#include "tests/model/cuda/kernel_test.h"

namespace hyperx::model {
namespace {

struct Size {
  int64_t rows, width;
};
std::ostream& operator<<(std::ostream& out, const Size& size) { return out << size.rows << " x " << size.width; }

class ElementKernelTest : public testing::TestWithParam<std::tuple<at::ScalarType, Size>> {
 protected:
  at::ScalarType type() const { return std::get<0>(GetParam()); }
  int64_t rows() const { return std::get<1>(GetParam()).rows; }
  int64_t width() const { return std::get<1>(GetParam()).width; }
  kernels::Elements shape() const { return {row_type(type()), rows(), width()}; }
  int64_t partial_values() const { return kernels::element_partial_values(rows(), width()); }
};

// Measured against fp64, of the largest value: fp32 1.5e-7, bf16 3.4e-3, its rounding.
TEST_P(ElementKernelTest, ActivationsAndTheirGradients) {
  for (const Activation kind : {Activation::kGelu, Activation::kRelu}) {
    at::manual_seed(3);
    const at::Tensor x = draw({rows(), width()}, type()) * 3, bias = draw({width()}, type());
    const at::Tensor dy = draw({rows(), width()}, type());
    const at::Tensor wide_x = x.to(at::kDouble).set_requires_grad(true),
                     wide_bias = bias.to(at::kDouble).set_requires_grad(true);
    const at::Tensor right = biased_activation(wide_x, wide_bias, kind);
    right.backward(dy.to(at::kDouble));

    const auto own = kind == Activation::kGelu ? kernels::ActivationKind::kGelu : kernels::ActivationKind::kRelu;
    const Guarded y({rows(), width()}, type()), dx({rows(), width()}, type()), dbias({width()}, type()),
        partials({partial_values()}, at::kFloat);
    kernels::biased_activation_forward(shape(), own, pointer(x), pointer(bias), y.data(), nullptr);
    kernels::biased_activation_backward(shape(), own, kind == Activation::kGelu ? pointer(x) : y.data(), pointer(bias),
                                        pointer(dy), dx.data(), dbias.data(), partials.floats(), nullptr);
    const double limit = type() == at::kFloat ? 1e-6 : 0x1p-8;
    EXPECT_LT(relative_distance(y.tensor(), right), limit);
    EXPECT_LT(relative_distance(dx.tensor(), wide_x.grad()), limit);
    EXPECT_LT(relative_distance(dbias.tensor(), wide_bias.grad()), limit);
    for (const Guarded* out : {&y, &dx, &dbias, &partials}) EXPECT_TRUE(out->margins_are_whole());

    const Guarded without_sums({rows(), width()}, type());
    kernels::biased_activation_backward(shape(), own, kind == Activation::kGelu ? pointer(x) : y.data(), pointer(bias),
                                        pointer(dy), without_sums.data(), nullptr, nullptr, nullptr);
    EXPECT_TRUE(at::equal(without_sums.tensor(), dx.tensor()));
  }
}

// Ones come out as the mask itself: the CPU kernel's, bit for bit.
TEST_P(ElementKernelTest, MasksAreTheCpuKernelsBitForBit) {
  for (const double probability : {0.1, 0.5, 0.999}) {
    const MaskInput mask(rows(), probability);
    const at::Tensor ones = at::ones({rows(), width()}, type());
    const Guarded out({rows(), width()}, type());
    kernels::masked_sum(shape(), pointer(ones), nullptr, mask.mask(), out.data(), nullptr, nullptr, nullptr);
    EXPECT_TRUE(at::equal(out.tensor(), keyed_dropout(ones, {}, {mask.rows, probability, {mask.key}})));
    EXPECT_TRUE(out.margins_are_whole());
  }
}

// With a bias too: one addition and one product, which both round alike.
TEST_P(ElementKernelTest, DropoutWithBiasAndSums) {
  at::manual_seed(4);
  const MaskInput mask(rows(), 0.25);
  const at::Tensor x = draw({rows(), width()}, type()), bias = draw({width()}, type());
  const Guarded out({rows(), width()}, type()), sums({width()}, type()), partials({partial_values()}, at::kFloat);
  kernels::masked_sum(shape(), pointer(x), pointer(bias), mask.mask(), out.data(), sums.data(), partials.floats(),
                      nullptr);
  const at::Tensor right = keyed_dropout(x, bias, {mask.rows, 0.25, {mask.key}});
  EXPECT_TRUE(at::equal(out.tensor(), right));
  const double limit = type() == at::kFloat ? 1e-6 : 0x1p-7;
  EXPECT_LT(relative_distance(sums.tensor(), right.to(at::kDouble).sum(0)), limit);
  for (const Guarded* guarded : {&out, &sums, &partials}) EXPECT_TRUE(guarded->margins_are_whole());
}

TEST_P(ElementKernelTest, SumsOfEmbeddings) {
  at::manual_seed(6);
  const at::Tensor word = at::randn({11, width()}), position = at::randn({9, width()}), kind = at::randn({2, width()});
  const at::Tensor ids = at::randint(0, 11, {rows()}, at::kLong), places = at::randint(0, 7, {rows()}, at::kLong);
  const Guarded out({rows(), width()}, type());
  kernels::embedding_sum(shape(), ids.data_ptr<int64_t>(), places.data_ptr<int64_t>(),
                         {word.data_ptr<float>(), position.data_ptr<float>(), kind.data_ptr<float>(), 2}, out.data(),
                         nullptr);
  const at::Tensor right = at::embedding(word, ids) + at::embedding(position, places + 2) + kind[0];
  EXPECT_TRUE(at::equal(out.tensor(), right.to(type())));
  EXPECT_TRUE(out.margins_are_whole());
}

INSTANTIATE_TEST_SUITE_P(Cases, ElementKernelTest,
                         testing::Combine(testing::Values(at::kFloat, at::kBFloat16),
                                          testing::Values(Size{0, 768}, Size{1, 1}, Size{70, 768}, Size{33, 770},
                                                          Size{7, 129}, Size{600, 24}, Size{32, 256}, Size{65, 9})));

// Far out, GELU is x or 0 and its slope 1 or 0.
TEST(ElementKernel, GeluFarOut) {
  const at::Tensor x = at::tensor({-60.0F, -13.0F, 0.0F, 13.0F, 60.0F}).view({1, 5});
  const at::Tensor zeros = at::zeros({5}), ones = at::ones({1, 5});
  const Guarded y({1, 5}, at::kFloat), dx({1, 5}, at::kFloat);
  const kernels::Elements shape{kernels::RowType::kFloat, 1, 5};
  kernels::biased_activation_forward(shape, kernels::ActivationKind::kGelu, pointer(x), pointer(zeros), y.data(),
                                     nullptr);
  kernels::biased_activation_backward(shape, kernels::ActivationKind::kGelu, pointer(x), pointer(zeros), pointer(ones),
                                      dx.data(), nullptr, nullptr, nullptr);
  EXPECT_LT(relative_distance(y.tensor(), at::relu(x)), 1e-30);
  EXPECT_LT(relative_distance(dx.tensor(), at::tensor({0.0, 0.0, 0.5, 1.0, 1.0}).view({1, 5})), 1e-30);
}

}  // namespace
}  // namespace hyperx::model

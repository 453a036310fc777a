#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/cuda.h>

#include <tuple>
#include <vector>

#include "model/methods/hyperx/generator.h"
#include "model/ops/cpu/activation.h"
#include "model/ops/cpu/dropout.h"
#include "model/ops/cpu/residual_norm.h"
#include "model/ops/cuda/cuda_ops.h"
#include "model/ops/own_kernels.h"

// Our CUDA kernels on a GPU against the CPU's kernels. tests/model/cuda runs the same sources on the CPU.
namespace hyperx::model {
namespace {

class GpuKernels : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    if (!torch::cuda::is_available()) GTEST_SKIP() << "no GPU that LibTorch can use";
    use_own_kernels(true);
    at::manual_seed(11);
  }
  void TearDown() override { use_own_kernels(false); }

  static at::ScalarType type() { return GetParam(); }
  // Of the largest value: fp32's rounding of another order of sums; in bf16 a last place of values from 1 to 2.
  static double limit() { return type() == at::kFloat ? 4e-6 : 0x1p-7; }
};

at::Tensor draw(at::IntArrayRef shape, at::ScalarType type) { return at::randn(shape, at::kFloat).to(type); }

at::Tensor leaf(const at::Tensor& values, at::Device device) {
  return values.detach().to(device, values.scalar_type(), false, true).set_requires_grad(true);
}

double relative_distance(const at::Tensor& found, const at::Tensor& right) {
  if (right.numel() == 0) return 0;
  const at::Tensor wide = right.detach().to(at::kCPU, at::kDouble);
  return (found.detach().to(at::kCPU, at::kDouble) - wide).abs().max().item<double>() /
         std::max(1.0, wide.abs().max().item<double>());
}

RowKeys keys_of(int64_t rows) {
  const at::Tensor index = at::arange(rows, at::kLong);
  return {index.div(5, "floor") * 0x123456789LL + 3, index.remainder(5)};
}

// run(leaves) on both devices from the same values: what comes out and all gradients.
template <class Run>
void expect_equal_on_both(const std::vector<at::Tensor>& inputs, const Run& run, double limit) {
  std::vector<std::vector<at::Tensor>> results;
  at::Tensor above;
  for (const at::Device device : {at::Device(at::kCPU), at::Device(at::kCUDA, 0)}) {
    std::vector<at::Tensor> leaves;
    for (const at::Tensor& input : inputs) leaves.push_back(leaf(input, device));
    const at::Tensor out = run(leaves);
    if (!above.defined()) above = draw(out.sizes(), out.scalar_type());
    out.backward(above.to(device));
    results.push_back({out});
    for (const at::Tensor& one : leaves) results.back().push_back(one.grad());
  }
  for (size_t i = 0; i < results[0].size(); ++i) {
    ASSERT_EQ(results[0][i].defined(), results[1][i].defined()) << i;
    if (!results[0][i].defined()) continue;
    EXPECT_LT(relative_distance(results[1][i], results[0][i]), limit) << i;
  }
}

TEST_P(GpuKernels, NormOfASum) {
  for (const int64_t width : {768, 770, 384, 1024})
    for (const int64_t rows : {1, 45, 700})
      for (const double probability : {0.0, 0.1}) {
        const auto run = [&](const std::vector<at::Tensor>& t) {
          return residual_norm(t[0], t[1], {keys_of(rows), probability, {PhiloxKey{3, 4}}}, t[2], t[3],
                               {t[4], t[5], 1e-6});
        };
        expect_equal_on_both({draw({rows, width}, type()), draw({width}, type()), draw({rows, width}, type()),
                              draw({rows, width}, type()), draw({width}, at::kFloat), draw({width}, at::kFloat)},
                             run, limit());
      }
}

TEST_P(GpuKernels, Activations) {
  for (const Activation kind : {Activation::kGelu, Activation::kRelu})
    for (const int64_t width : {3072, 257, 256})
      expect_equal_on_both(
          {draw({300, width}, type()), draw({width}, type())},
          [&](const std::vector<at::Tensor>& t) { return biased_activation(t[0], t[1], kind); }, limit());
}

TEST_P(GpuKernels, MasksBitForBit) {
  for (const int64_t width : {768, 129}) {
    const at::Tensor ones = at::ones({1000, width}, type());
    const at::Tensor right = keyed_dropout(ones, {}, {keys_of(1000), 0.1, {PhiloxKey{5, 6}}});
    EXPECT_TRUE(at::equal(keyed_dropout(ones.cuda(), {}, {keys_of(1000), 0.1, {PhiloxKey{5, 6}}}).cpu(), right));
    expect_equal_on_both(
        {draw({1000, width}, type()), draw({width}, type())},
        [&](const std::vector<at::Tensor>& t) {
          return keyed_dropout(t[0], t[1], {keys_of(1000), 0.1, {PhiloxKey{5, 6}}});
        },
        limit());
  }
}

TEST_P(GpuKernels, Embeddings) {
  const at::Tensor word = at::randn({1000, 768}), position = at::randn({514, 768}), kind = at::randn({2, 768});
  const at::Tensor ids = at::randint(0, 1000, {777}, at::kLong), places = at::randint(0, 512, {777}, at::kLong);
  const at::Tensor found =
      cuda_embedding_sum(word.cuda(), position.cuda(), kind.cuda(), ids.cuda(), places.cuda(), 2, type());
  const at::Tensor right = at::embedding(word, ids) + at::embedding(position, places + 2) + kind[0];
  EXPECT_TRUE(at::equal(found.cpu(), right.to(type())));
}

INSTANTIATE_TEST_SUITE_P(Types, GpuKernels, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& type) { return std::string(c10::toString(type.param)); });

class GpuGenerator : public GpuKernels {};

TEST_P(GpuGenerator, PassesOverW) {
  const AdamOptions options{0.9, 0.999, 1e-8, 0.01};
  for (const auto& [theta, projected, rows] :
       {std::tuple{40000, 192, 12}, {1025, 128, 13}, {77, 190, 5}, {130, 300, 3}, {5000, 192, 50}}) {
    at::Tensor w = at::randn({theta, projected}), c = at::randn({theta}), s = at::randn({rows, projected});
    const at::Tensor g = at::randn({rows, theta}), s_next = at::randn({rows, projected});
    at::Tensor right = at::empty({rows, theta});
    const at::Tensor found = at::empty({rows, theta}, at::kCUDA);
    const at::Tensor gpu_w = w.cuda(), gpu_c = c.cuda(), gpu_g = g.cuda();
    generate(w, c, s, right);
    generate(gpu_w, gpu_c, s.cuda(), found);
    EXPECT_LT(relative_distance(found, right), limit());
    const FactorSums sums = factor_sums(gpu_w, gpu_g), cpu_sums = factor_sums(w, g);
    EXPECT_LT(relative_distance(sums.source_gradient, cpu_sums.source_gradient), limit());
    EXPECT_LT(relative_distance(sums.gram, cpu_sums.gram), 1e-13);
    const FactorSums again = factor_sums(gpu_w, gpu_g);
    EXPECT_TRUE(at::equal(again.source_gradient, sums.source_gradient) && at::equal(again.gram, sums.gram));

    at::Tensor w_m = at::zeros_like(w), w_v = at::zeros_like(w), c_m = at::zeros_like(c), c_v = at::zeros_like(c);
    const at::Tensor count = at::zeros({1}, at::TensorOptions().dtype(at::kLong).device(at::kCUDA));
    const at::Tensor control = at::tensor({0.3F, 1.0F}).cuda();
    CudaLowRankAdam call{gpu_w, gpu_c,    w_m.cuda(), w_v.cuda(), c_m.cuda(), c_v.cuda(),
                         gpu_g, s.cuda(), {},         {},         control,    count};
    for (int64_t step = 1; step <= 3; ++step) {
      low_rank_adam_update(w, c, w_m, w_v, c_m, c_v, g, s, step, 1e-2, 0.3, options);
      call.s_next = step == 3 ? s_next.cuda() : at::Tensor();
      call.theta_next = step == 3 ? at::empty_like(found) : at::Tensor();
      count.fill_(step);
      cuda_low_rank_adam(call, 1e-2, options);
    }
    EXPECT_LT(relative_distance(gpu_w, w), limit());
    EXPECT_LT(relative_distance(gpu_c, c), limit());
    EXPECT_LT(relative_distance(call.w_v, w_v), limit());
    cuda_generate(gpu_w, gpu_c, s_next.cuda(), found);
    EXPECT_TRUE(at::equal(call.theta_next, found));

    const at::Tensor before = gpu_w.clone();
    call.control = at::zeros_like(control);
    call.s_next = call.theta_next = at::Tensor();
    cuda_low_rank_adam(call, 1e-2, options);
    EXPECT_TRUE(at::equal(gpu_w, before));
  }
}

TEST_P(GpuGenerator, AdamOfManyTensors) {
  std::vector<AdamTensors> tensors;
  std::vector<at::Tensor> right;
  const at::Tensor counts = at::ones({4}, at::TensorOptions().dtype(at::kLong).device(at::kCUDA));
  const at::Tensor active = at::tensor({1, 1, 0, 1}).to(at::kCUDA, at::kBool);
  const at::Tensor control = at::tensor({0.5F, 1.0F}).cuda();
  for (const int64_t size : {1, 768, 100000, 31}) {
    at::Tensor p = at::randn({size}), m = at::zeros({size}), v = at::zeros({size});
    const at::Tensor g = at::randn({size});
    const auto place = static_cast<int64_t>(right.size());
    tensors.push_back({p.cuda(), g.cuda(), m.cuda(), v.cuda(), counts.narrow(0, place, 1), active.narrow(0, place, 1)});
    if (place != 2) adam_update(p, g, m, v, 1, 1e-2, 0.5, {});
    right.push_back(p);
  }
  cuda_adam(cuda_adam_table(tensors), control, 1e-2, {});
  for (size_t i = 0; i < right.size(); ++i) EXPECT_LT(relative_distance(tensors[i].p, right[i]), limit());
}

INSTANTIATE_TEST_SUITE_P(Types, GpuGenerator, testing::Values(at::kFloat),
                         [](const auto& type) { return std::string(c10::toString(type.param)); });

}  // namespace
}  // namespace hyperx::model

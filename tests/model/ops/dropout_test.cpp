#include "model/ops/cpu/dropout.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

namespace hyperx::model {
namespace {

RowKeys keys_of(int64_t rows) {
  const at::Tensor index = at::arange(rows, at::kLong);
  return {index.div(7, "floor") + 3, index.remainder(7)};
}

class DropoutTest : public testing::TestWithParam<at::ScalarType> {};

// The vectorised kernel and the same written with LibTorch's operations give the same bits.
TEST_P(DropoutTest, KernelEqualsOperations) {
  const DropoutKey key = DropoutStream{42, 17, true}.key(kSiteEmbeddings);
  for (const int64_t width : {1, 7, 8, 127, 128, 129, 300}) {
    const RowKeys rows = keys_of(23);
    const at::Tensor x = at::ones({23, width}, GetParam());
    const at::Tensor mask = keyed_dropout_mask({rows, 0.1, key}, width, x.options());
    EXPECT_TRUE(at::equal(keyed_dropout(x, {}, {rows, 0.1, key}), mask)) << width;
  }
}

TEST_P(DropoutTest, AddsTheBiasAndPassesItsGradient) {
  const DropoutKey key = DropoutStream{1, 2, true}.key(5);
  const RowKeys rows = keys_of(9);
  const at::Tensor x = at::randn({9, 40}).to(GetParam()).requires_grad_(true);
  const at::Tensor bias = at::randn({40}).to(GetParam()).requires_grad_(true);
  const at::Tensor mask = keyed_dropout_mask({rows, 0.25, key}, 40, x.options());
  const at::Tensor out = keyed_dropout(x, bias, {rows, 0.25, key});
  EXPECT_TRUE(at::allclose(out, (x + bias) * mask, 1e-2, 1e-2));
  out.sum().backward();
  EXPECT_TRUE(at::equal(x.grad(), mask));
  EXPECT_TRUE(at::allclose(bias.grad(), mask.sum(0), 1e-2, 1e-2));
}

INSTANTIATE_TEST_SUITE_P(Types, DropoutTest, testing::Values(at::kFloat, at::kDouble, at::kBFloat16));

// A row's mask follows from its key alone, wherever the row lies in the batch.
TEST(DropoutKeys, RowsKeepTheirMaskWhenTheBatchIsSplit) {
  const DropoutKey key = DropoutStream{42, 17, true}.key(3);
  const RowKeys all = keys_of(20);
  const at::Tensor whole = keyed_dropout(at::ones({20, 64}), {}, {all, 0.1, key});
  const RowKeys part{all.slots.slice(0, 11, 20), all.positions.slice(0, 11, 20)};
  EXPECT_TRUE(at::equal(keyed_dropout(at::ones({9, 64}), {}, {part, 0.1, key}), whole.slice(0, 11, 20)));
}

// What a GPU reads: the same masks, its key a tensor's value.
TEST(DropoutKeys, TableHoldsTheKeysOfAllSites) {
  constexpr int64_t kLayers = 3;
  const RowKeys rows = keys_of(20);
  const DropoutStream host{5, 1'000'000'007, true};
  const std::vector<int64_t> table = host.key_table(kLayers);
  DropoutStream device = host;
  device.table = at::tensor(at::ArrayRef<int64_t>(table), at::kLong);
  for (const int64_t site : {int64_t{0}, int64_t{2}, (kLayers - 1) * kSitesPerLayer + kSiteAttentionProbabilities,
                             kSiteEmbeddings, kSiteHead}) {
    const DropoutKey key = device.key(site);
    ASSERT_TRUE(key.on_device.defined());
    EXPECT_TRUE(at::equal(keyed_dropout_mask({rows, 0.1, {PhiloxKey{}, key.on_device}}, 64, at::kFloat),
                          keyed_dropout(at::ones({20, 64}), {}, {rows, 0.1, host.key(site)})))
        << site;
  }
}

// What a GPU without kernels of ours does: the masks of all sites in one go are those that each site draws for itself,
// for some of the rows too, and the gradient passes where the forward pass did.
TEST(DropoutKeys, MasksOfAllSitesAreEachSitesOwn) {
  constexpr int64_t kLayers = 3, kRows = 20, kWidth = 61;
  const DropoutStream host{5, 1'000'000'007, true};
  DropoutStream device = host;
  device.table = at::tensor(at::ArrayRef<int64_t>(host.key_table(kLayers)), at::kLong);
  device.draw_masks(keys_of(kRows), kWidth, 0.25);
  EXPECT_FALSE(device.key(kSitesPerLayer + kSiteAttentionProbabilities).dropped.defined());
  std::vector<int64_t> sites{kSiteEmbeddings, kSiteHead};
  for (int64_t layer = 0; layer < kLayers; ++layer)
    for (const int64_t site : {kSiteAttentionOutput, kSiteFeedForwardOutput})
      sites.push_back(layer * kSitesPerLayer + site);
  for (const int64_t site : sites) {
    const SiteDropout own{keys_of(kRows), 0.25, host.key(site)}, drawn{keys_of(kRows), 0.25, device.key(site)};
    ASSERT_TRUE(drawn.key.dropped.defined()) << site;
    const at::Tensor x = at::ones({kRows, kWidth}).requires_grad_(true);
    const at::Tensor out = dropout_by_operations(x, drawn);
    EXPECT_TRUE(at::equal(out, keyed_dropout(x, {}, own))) << site;
    EXPECT_TRUE(at::equal(torch::autograd::grad({out.sum()}, {x})[0], out)) << site;
    const at::Tensor some = at::tensor({3, 4, 11}, at::kLong);
    EXPECT_TRUE(at::equal(dropout_by_operations(x.index_select(0, some), drawn.of_rows(some)),
                          keyed_dropout(x.index_select(0, some), {}, own.of_rows(some))))
        << site;
  }
}

// A batch too large for one go is drawn some sites at a time.
TEST(DropoutKeys, MasksOfManyRowsAreDrawnInParts) {
  constexpr int64_t kRows = 24'000, kWidth = 256;  // 768,000 blocks a site
  DropoutStream stream{1, 2, true};
  stream.table = at::tensor(at::ArrayRef<int64_t>(stream.key_table(2)), at::kLong);
  stream.draw_masks(keys_of(kRows), kWidth, 0.1);
  for (const int64_t site : {int64_t{0}, kSitesPerLayer + kSiteFeedForwardOutput, kSiteHead})
    EXPECT_TRUE(at::equal(keyed_dropout(at::ones({kRows, kWidth}), {}, {keys_of(kRows), 0.1, stream.key(site)}).eq(0),
                          stream.key(site).dropped))
        << site;
}

TEST(DropoutKeys, StepsSitesAndSeedsDiffer) {
  const RowKeys rows = keys_of(20);
  const auto mask = [&](uint64_t seed, int64_t step, int64_t site) {
    return keyed_dropout(at::ones({20, 64}), {}, {rows, 0.5, DropoutStream{seed, step, true}.key(site)});
  };
  const at::Tensor base = mask(1, 1, 1);
  EXPECT_FALSE(at::equal(base, mask(2, 1, 1)));
  EXPECT_FALSE(at::equal(base, mask(1, 2, 1)));
  EXPECT_FALSE(at::equal(base, mask(1, 1, 2)));
  EXPECT_TRUE(at::equal(base, mask(1, 1, 1)));
}

TEST(DropoutKeys, DropsTheAskedShare) {
  const int64_t rows = 2000, width = 256;
  const at::Tensor out =
      keyed_dropout(at::ones({rows, width}), {}, {keys_of(rows), 0.1, DropoutStream{7, 7, true}.key(0)});
  const double dropped = (out == 0).to(at::kDouble).mean().item<double>();
  EXPECT_NEAR(dropped, 0.1, 4 * std::sqrt(0.09 / (rows * width)));  // four standard deviations
  EXPECT_NEAR(out.max().item<double>(), dropout_scale(0.1), 1e-6);
}

}  // namespace
}  // namespace hyperx::model

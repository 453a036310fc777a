#include "model/ops/cpu/attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

namespace hyperx::model {
namespace {

struct Case {
  std::vector<int32_t> lengths;
  int64_t heads, dim;
};

at::Tensor starts_of(const std::vector<int32_t>& lengths) {
  std::vector<int32_t> starts{0};
  for (const int32_t length : lengths) starts.push_back(starts.back() + length);
  return at::tensor(at::ArrayRef<int32_t>(starts), at::kInt);
}

RowKeys keys_of(const std::vector<int32_t>& lengths) {
  std::vector<int64_t> slots, positions;
  for (size_t s = 0; s < lengths.size(); ++s)
    for (int32_t p = 0; p < lengths[s]; ++p) {
      slots.push_back(static_cast<int64_t>(s) + 5);
      positions.push_back(p);
    }
  return {at::tensor(at::ArrayRef<int64_t>(slots), at::kLong), at::tensor(at::ArrayRef<int64_t>(positions), at::kLong)};
}

class AttentionTest : public testing::TestWithParam<Case> {};

TEST_P(AttentionTest, EqualsThePlainFormulaAndItsGradient) {
  const Case& c = GetParam();
  const RowKeys rows = keys_of(c.lengths);
  const DropoutKey key = DropoutStream{3, 4, true}.key(2);
  for (const double probability : {0.0, 0.1}) {
    for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
      at::manual_seed(1);
      const int64_t tokens = rows.slots.numel();
      const at::Tensor qkv = at::randn({tokens, 3 * c.heads * c.dim}, type).mul_(2).requires_grad_(true);
      const at::Tensor weight = at::randn({tokens, c.heads * c.dim}, type);
      const at::Tensor expected = attention_by_operations(qkv, starts_of(c.lengths), c.heads, {rows, probability, key});
      const at::Tensor expected_gradient = torch::autograd::grad({(expected * weight).sum()}, {qkv})[0];
      const at::Tensor actual = packed_attention(qkv, {starts_of(c.lengths)}, c.heads, {rows, probability, key});
      const at::Tensor gradient = torch::autograd::grad({(actual * weight).sum()}, {qkv})[0];
      const double tolerance = type == at::kDouble ? 1e-12 : 1e-5;
      EXPECT_LT((actual - expected).abs().max().item<double>(), tolerance * expected.abs().max().item<double>())
          << probability;
      EXPECT_LT((gradient - expected_gradient).abs().max().item<double>(),
                tolerance * expected_gradient.abs().max().item<double>())
          << probability;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, AttentionTest,
                         testing::Values(Case{{1}, 1, 4}, Case{{2, 7, 1}, 2, 12}, Case{{31, 32, 33}, 3, 32},
                                         Case{{130, 5}, 2, 64}, Case{{9, 40}, 2, 50}));

}  // namespace
}  // namespace hyperx::model

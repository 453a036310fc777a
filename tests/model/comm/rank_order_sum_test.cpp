#include "model/comm/rank_order_sum.h"

#include <c10/util/BFloat16.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace hyperx::comm {
namespace {

template <class T>
std::vector<T> sum(c10::ScalarType type, const std::vector<std::vector<T>>& parts) {
  std::vector<const void*> pointers;
  for (const auto& part : parts) pointers.push_back(part.data());
  std::vector<T> out(parts[0].size());
  sum_in_rank_order(type, pointers, out.data(), static_cast<int64_t>(out.size()));
  return out;
}

TEST(RankOrderSum, IsThatOrder) {
  // In double: (1e30 + -1e30) + 1 = 1, but 1e30 + (-1e30 + 1) = 0. So the order shows.
  EXPECT_EQ(sum<double>(c10::kDouble, {{1e30}, {-1e30}, {1}}), std::vector<double>{1});
  EXPECT_EQ(sum<double>(c10::kDouble, {{1}, {1e30}, {-1e30}}), std::vector<double>{0});
}

TEST(RankOrderSum, RoundsOnce) {
  const float tiny = std::ldexp(1.0F, -24);  // half of the last place of 1: added one by one in float, each is lost
  EXPECT_EQ(sum<float>(c10::kFloat, {{1}, {tiny}, {tiny}}), std::vector<float>{1 + 2 * tiny});
  const c10::BFloat16 one = 1, small = 0x1p-8F;
  EXPECT_EQ(static_cast<float>(sum<c10::BFloat16>(c10::kBFloat16, {{one}, {small}, {small}})[0]), 1 + 0x1p-7F);
}

TEST(RankOrderSum, IntegersWrapAround) {
  EXPECT_EQ(sum<uint8_t>(c10::kByte, {{200}, {100}}), std::vector<uint8_t>{44});
  const int64_t top = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(sum<int64_t>(c10::kLong, {{top}, {1}}), std::vector<int64_t>{std::numeric_limits<int64_t>::min()});
}

TEST(RankOrderSum, ManyBlocksIntoOneOfTheParts) {
  std::vector<float> first(2500), second(2500);
  for (int i = 0; i < 2500; ++i) {
    first[i] = static_cast<float>(i);
    second[i] = static_cast<float>(3 * i + 1);
  }
  sum_in_rank_order(c10::kFloat, {first.data(), second.data()}, second.data(), 2500);
  for (int i = 0; i < 2500; ++i) ASSERT_EQ(second[i], static_cast<float>(4 * i + 1)) << i;
}

}  // namespace
}  // namespace hyperx::comm

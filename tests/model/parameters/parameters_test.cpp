#include "model/parameters/parameters.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "common/random.h"

namespace hyperx::model {
namespace {

constexpr double kDeviation = 0.02;
constexpr uint64_t kSeed = 5;
const char* const kName = "some.weight";

at::Tensor drawn(int64_t first, int64_t count, at::ScalarType type) {
  at::Tensor values = at::empty({count}, type);
  draw_normal(values, first, kDeviation, kSeed, kName);
  return values;
}

// Box-Muller by the library's functions: values 2 * pair and 2 * pair + 1.
std::pair<double, double> by_formula(uint64_t pair) {
  const PhiloxCounter w = philox({static_cast<uint32_t>(pair), static_cast<uint32_t>(pair >> 32), 0, 1},
                                 philox_key(derive_key(kSeed, kName)));
  const double u1 = (w[0] + w[1] * 0x1p-32 + 0x1p-33) * 0x1p-32, angle = (w[2] + w[3] * 0x1p-32) * 0x1p-32;
  const double radius = kDeviation * std::sqrt(-2.0 * std::log(u1));
  return {radius * std::cos(2 * std::numbers::pi * angle), radius * std::sin(2 * std::numbers::pi * angle)};
}

TEST(DrawNormalTest, IsBoxMullerOfThePhiloxBlocks) {
  for (const int64_t first : {int64_t{0}, int64_t{1} << 33}) {  // also where the block's number passes 32 bits
    const int64_t count = 200'000;
    const at::Tensor values = drawn(first, count, at::kDouble);
    const double* const value = values.const_data_ptr<double>();
    for (int64_t i = 0; i < count; i += 2) {
      const auto [even, odd] = by_formula(static_cast<uint64_t>((first + i) / 2));
      const double limit = 2e-15 * std::hypot(even, odd);
      ASSERT_LT(std::abs(value[i] - even), limit) << first + i;
      ASSERT_LT(std::abs(value[i + 1] - odd), limit) << first + i + 1;
    }
  }
}

TEST(DrawNormalTest, AnyRangeGivesTheSameBits) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const at::Tensor all = drawn(0, 100'000, type);
    for (const auto& [first, count] : {std::pair{0, 1}, {1, 1}, {1, 31}, {31, 2}, {32, 64}, {33, 63}, {7, 70'001}})
      EXPECT_TRUE(at::equal(drawn(first, count, type), all.narrow(0, first, count))) << first << " " << count;
    EXPECT_EQ(drawn(5, 0, type).numel(), 0);
  }
}

TEST(DrawNormalTest, Fp32IsFp64Rounded) {
  EXPECT_TRUE(at::equal(drawn(3, 50'000, at::kFloat), drawn(3, 50'000, at::kDouble).to(at::kFloat)));
}

TEST(DrawNormalTest, DoesNotDependOnThreads) {
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor one = drawn(0, 300'001, at::kFloat);
  at::set_num_threads(3);
  const at::Tensor three = drawn(0, 300'001, at::kFloat);
  at::set_num_threads(before);
  EXPECT_TRUE(at::equal(one, three));
}

TEST(DrawNormalTest, HasTheMomentsOfANormalDistribution) {
  const at::Tensor values = drawn(0, 1'000'000, at::kDouble) / kDeviation;
  EXPECT_NEAR(values.mean().item<double>(), 0.0, 0.004);        // four standard errors
  EXPECT_NEAR(values.var().item<double>(), 1.0, 0.006);         // likewise
  EXPECT_NEAR(values.pow(4).mean().item<double>(), 3.0, 0.04);  // kurtosis, standard error 0.0098
  const double tail = (values.abs() > 3).to(at::kDouble).mean().item<double>();
  EXPECT_NEAR(tail, 0.0026998, 0.0002);  // P(|x| > 3)
}

TEST(NormalTensorTest, FollowsFromSeedAndName) {
  const auto tensor = [](uint64_t seed, const char* name) {
    return normal_tensor({4, 9}, kDeviation, seed, name, at::kFloat);
  };
  EXPECT_TRUE(at::equal(tensor(kSeed, kName).flatten(), drawn(0, 36, at::kFloat)));
  EXPECT_FALSE(at::equal(tensor(1, "a"), tensor(2, "a")));
  EXPECT_FALSE(at::equal(tensor(1, "a"), tensor(1, "b")));
}

}  // namespace
}  // namespace hyperx::model

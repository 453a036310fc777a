// The comparisons of the other tests must not pass where there is nothing to compare.
#include "tests/system/workplace.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace hyperx::testing_system {
namespace {

using nlohmann::json;

json step(const std::string& pair, int tokens, double loss) {
  return {{"pair", pair}, {"tokens", tokens}, {"loss", loss}};
}

TEST(LargestRelativeDifference, IsThatOfTheWorstStep) {
  const std::vector<json> a = {step("pos:en", 5, 2.0), step("ner:en", 6, 4.0), step("pos:mt", 7, 1.0)};
  const std::vector<json> b = {step("pos:en", 5, 2.0), step("ner:en", 6, 3.0), step("pos:mt", 7, 1.1)};
  EXPECT_DOUBLE_EQ(largest_relative_difference(a, b, "loss"), 0.25);
}

TEST(LargestRelativeDifference, RefusesWhatCannotBeCompared) {
  const std::vector<json> one = {step("pos:en", 5, 2.0)}, two = {step("pos:en", 5, 2.0), step("pos:en", 5, 2.0)};
  EXPECT_THROW(largest_relative_difference({}, {}, "loss"), std::runtime_error);
  EXPECT_THROW(largest_relative_difference(one, two, "loss"), std::runtime_error);
  EXPECT_THROW(largest_relative_difference(one, {step("pos:mt", 5, 2.0)}, "loss"), std::runtime_error);
  EXPECT_THROW(largest_relative_difference(one, {step("pos:en", 6, 2.0)}, "loss"), std::runtime_error);
}

TEST(LargestRelativeDifference, NaNIsTheLargest) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<json> a = {step("pos:en", 5, 2.0), step("pos:en", 5, 2.0)};
  for (const std::vector<json>& b : {std::vector<json>{step("pos:en", 5, nan), step("pos:en", 5, 2.0)},
                                     std::vector<json>{step("pos:en", 5, 2.0), step("pos:en", 5, nan)}})
    EXPECT_TRUE(std::isnan(largest_relative_difference(a, b, "loss")));
}

TEST(DifferenceOfTensors, NaNIsTheLargest) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Difference found = difference({{"a", {1, 2, 3}}, {"b", {1}}}, {{"a", {1, nan, 4}}, {"b", {9}}});
  EXPECT_TRUE(std::isnan(found.largest));
  EXPECT_EQ(found.where, "a");
  EXPECT_THROW(difference({}, {}), std::runtime_error);
}

}  // namespace
}  // namespace hyperx::testing_system

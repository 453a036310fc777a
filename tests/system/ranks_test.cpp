// The same training on one and on three ranks, under the real mpirun. Other numbers of ranks and pairs, and batches
// with fewer sentences than ranks: tests/trainer/optimizer/gradient_exchange_test.cpp, on threads.
#include <gtest/gtest.h>

#include "tests/system/workplace.h"

namespace hyperx::testing_system {
namespace {

constexpr double kTolerance = 1e-5;  // relative, fp32, dropout 0.1

class RanksTest : public SystemTest {};

TEST_F(RanksTest, LossesAndNormsAreThoseOfOneRank) {
  const Options options{{"train.pairs_per_step", "2"}, {"train.micro_batch_tokens", "80"}};
  train(0, "one", options);
  train(3, "three", options);
  EXPECT_EQ(state("three").at("world_size"), 3);
  for (const char* key : {"loss", "grad_norm"}) {
    const double gap = largest_relative_difference(steps("one"), steps("three"), key);
    std::printf("%s differs by %.1e\n", key, gap);
    EXPECT_LT(gap, kTolerance) << key;
  }
  for (const auto& step : steps("one")) EXPECT_EQ(step.at("bytes_sent"), 0);
  for (const auto& step : steps("three")) EXPECT_GT(step.at("bytes_sent"), 0);
}

}  // namespace
}  // namespace hyperx::testing_system

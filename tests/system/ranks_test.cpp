// The same training on 1 to 4 ranks, under the real mpirun.
#include <gtest/gtest.h>

#include "tests/system/workplace.h"

namespace hyperx::testing_system {
namespace {

constexpr double kTolerance = 1e-5;  // relative, fp32, dropout 0.1

class RanksTest : public SystemTest {
 protected:
  // Trains on all numbers of ranks; losses and norms of every step must be those of one rank.
  void expect_equal(const std::vector<int>& ranks, const Options& options,
                    const std::vector<Options>& variants = {{}}) {
    std::vector<nlohmann::json> first;
    for (const int count : ranks)
      for (size_t i = 0; i < variants.size(); ++i) {
        Options all = options;
        all.insert(variants[i].begin(), variants[i].end());
        const std::string name = "ranks-" + std::to_string(count) + "-" + std::to_string(i);
        train(count == 1 ? 0 : count, name, all);
        const std::vector<nlohmann::json> found = steps(name);
        EXPECT_EQ(state(name).at("world_size"), count);
        if (first.empty()) {
          first = found;
          continue;
        }
        for (const char* key : {"loss", "grad_norm"}) {
          const double gap = largest_relative_difference(first, found, key);
          std::printf("%d ranks, variant %zu: %s differs by %.1e\n", count, i, key, gap);
          EXPECT_GE(gap, 0) << "other pairs or tokens were drawn";
          EXPECT_LT(gap, kTolerance) << key << ", " << count << " ranks, variant " << i;
        }
      }
  }
};

TEST_F(RanksTest, TheLossOfEveryStepIsThatOfOneRank) { expect_equal({1, 2, 3, 4}, {}); }

TEST_F(RanksTest, AlsoWithThreePairsAStep) { expect_equal({1, 2, 3, 4}, {{"train.pairs_per_step", "3"}}); }

TEST_F(RanksTest, AlsoWithFewerSentencesThanRanks) {
  expect_equal({1, 4}, {{"train.batch_sentences", "2"}, {"train.steps", "20"}});
}

TEST_F(RanksTest, AlsoInSmallPieces) {
  expect_equal({1, 2}, {{"train.pairs_per_step", "2"}}, {{}, {{"train.micro_batch_tokens", "80"}}});
}

}  // namespace
}  // namespace hyperx::testing_system

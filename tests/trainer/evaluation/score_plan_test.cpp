#include "trainer/evaluation/score_plan.h"

#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <random>

namespace hyperx::train {
namespace {

std::vector<Score> scores(const std::vector<int64_t>& tokens) {
  std::vector<Score> made;
  for (size_t i = 0; i < tokens.size(); ++i)
    made.push_back({fmt::format("step-{}", i % 3), "test", {"pos", fmt::format("l{}", i)}, tokens[i]});
  return made;
}

int64_t work_of(const std::vector<Score>& scores) {
  int64_t sum = 0;
  for (const Score& score : scores) sum += score.tokens;
  return sum;
}

TEST(ScorePlan, FewerThanRanksAreShared) {
  const ScorePlan plan = share_out(scores({5, 9, 2}), 4);
  EXPECT_EQ(plan.shared, scores({5, 9, 2}));
  for (const auto& own : plan.whole) EXPECT_TRUE(own.empty());
}

TEST(ScorePlan, OneRankDoesAll) { EXPECT_EQ(share_out(scores({5, 90, 2}), 1).whole.at(0).size(), 3u); }

TEST(ScorePlan, TheLongestComeFirstAndAreShared) {
  const ScorePlan plan = share_out(scores({10, 1000, 30, 20, 25, 15}), 2);
  ASSERT_EQ(plan.shared.size(), 1u);  // the other rank would wait for it
  EXPECT_EQ(plan.shared[0].tokens, 1000);
  EXPECT_EQ(work_of(plan.whole[0]), 30 + 15 + 10);  // the one with the least work takes the longest that is left
  EXPECT_EQ(work_of(plan.whole[1]), 25 + 20);
}

TEST(ScorePlan, NothingIsLostOrDoneTwice) {
  std::mt19937 random(1);
  for (int ranks = 1; ranks < 9; ++ranks) {
    std::vector<int64_t> tokens(static_cast<size_t>(random() % 60));
    for (int64_t& value : tokens) value = static_cast<int64_t>(random() % 5000);
    const auto all = scores(tokens);
    const ScorePlan plan = share_out(all, ranks);
    std::vector<Score> found = plan.shared;
    int64_t most = 0, longest = 0, whole = 0;
    for (const auto& own : plan.whole) {
      found.insert(found.end(), own.begin(), own.end());
      most = std::max(most, work_of(own));
      whole += work_of(own);
      for (const Score& score : own) longest = std::max(longest, score.tokens);
      EXPECT_TRUE(std::is_sorted(own.begin(), own.end(),
                                 [](const Score& a, const Score& b) { return a.checkpoint < b.checkpoint; }));
    }
    EXPECT_EQ(found.size(), all.size());
    for (const Score& score : all) EXPECT_EQ(std::count(found.begin(), found.end(), score), 1);
    EXPECT_LE(most, whole / ranks + longest + 1);  // the bound of longest first
  }
}

TEST(ScorePlan, TextGivesTheSameScores) {
  const auto all = scores({1, 2, 3});
  EXPECT_EQ(scores_from_text(scores_to_text(all)), all);
  EXPECT_TRUE(scores_from_text(scores_to_text({})).empty());
}

}  // namespace
}  // namespace hyperx::train

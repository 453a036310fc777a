#include "data/tasks/dependencies/maximum_tree.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace hyperx::data {
namespace {

double sum_of(const std::vector<double>& scores, const std::vector<int32_t>& heads) {
  double sum = 0;
  for (size_t word = 0; word < heads.size(); ++word)
    sum += scores[word * (heads.size() + 1) + static_cast<size_t>(heads[word])];
  return sum;
}

// One root, and every word reaches it.
bool is_tree(const std::vector<int32_t>& heads) {
  int roots = 0;
  for (size_t word = 0; word < heads.size(); ++word) {
    roots += heads[word] == 0;
    auto at = static_cast<int32_t>(word) + 1;
    for (size_t steps = 0; at != 0; ++steps) {
      if (steps > heads.size()) return false;
      at = heads[static_cast<size_t>(at) - 1];
    }
  }
  return roots == 1;
}

std::vector<double> random_scores(int32_t words, std::mt19937& random) {
  std::vector<double> scores(static_cast<size_t>(words) * static_cast<size_t>(words + 1));
  for (double& score : scores) score = std::normal_distribution<double>(0, 3)(random);
  return scores;
}

// Against all combinations of heads.
TEST(MaximumTree, IsTheBestOfAll) {
  std::mt19937 random(7);
  for (int round = 0; round < 400; ++round) {
    const int32_t words = 1 + round % 5;
    std::vector<double> scores = random_scores(words, random);
    if (round % 3 == 0)  // the root draws all words
      for (int32_t word = 0; word < words; ++word) scores[static_cast<size_t>(word * (words + 1))] += 20;
    double best = -INFINITY;
    std::vector<int32_t> heads(static_cast<size_t>(words));
    const auto count = static_cast<int64_t>(std::pow(words + 1, words));
    for (int64_t number = 0; number < count; ++number) {
      int64_t rest = number;
      for (int32_t& head : heads) {
        head = static_cast<int32_t>(rest % (words + 1));
        rest /= words + 1;
      }
      if (is_tree(heads)) best = std::max(best, sum_of(scores, heads));
    }
    const std::vector<int32_t> found = maximum_tree(scores, words);
    ASSERT_TRUE(is_tree(found)) << round;
    EXPECT_NEAR(sum_of(scores, found), best, 1e-9) << round;
  }
}

TEST(MaximumTree, OfLongSentencesIsATree) {
  std::mt19937 random(8);
  for (const int32_t words : {40, 250}) EXPECT_TRUE(is_tree(maximum_tree(random_scores(words, random), words)));
  EXPECT_TRUE(is_tree(maximum_tree(std::vector<double>(30 * 31, 0.5), 30))) << "all scores are equal";
  EXPECT_TRUE(maximum_tree({}, 0).empty());
  EXPECT_EQ(maximum_tree(std::vector<double>{1, 1}, 1), std::vector<int32_t>{0});
}

}  // namespace
}  // namespace hyperx::data

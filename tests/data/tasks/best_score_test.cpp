#include "data/tasks/best_score.h"

#include <gtest/gtest.h>

#include <limits>

namespace hyperx::data {
namespace {

EvaluationResult result_of(const Pair& pair, const std::string& metric, double value) {
  EvaluationResult result;
  result.pair = pair;
  result.main_metric = metric;
  result.metrics.values[metric] = value;
  return result;
}

const Pair kTags{"pos", "en"}, kEntities{"ner", "tr"}, kText{"mlm", "kk"}, kOtherText{"mlm", "tr"};
const std::vector<EvaluationResult> kResults = {result_of(kTags, "accuracy", 0.5), result_of(kEntities, "f1", 0.25),
                                                result_of(kText, "loss", 3), result_of(kOtherText, "loss", 2)};

std::optional<double> score(const std::set<Pair>& deciding) {
  const auto score = best_score(kResults, deciding, TaskSet::all());
  return score ? std::optional(score->value) : std::nullopt;
}

TEST(BestScore, IsTheMeanOfTheDecidingPairs) {
  EXPECT_EQ(score({kTags, kEntities}), 0.375);
  EXPECT_EQ(score({kEntities}), 0.25);
  EXPECT_EQ(best_score(kResults, {kTags, kEntities}, TaskSet::all())->of, "pos:en accuracy, ner:tr f1");
}

TEST(BestScore, LeavesMaskedTextOutBesideOtherTasks) { EXPECT_EQ(score({kTags, kText, kOtherText}), 0.5); }

TEST(BestScore, OfMaskedTextOnlyIsTheLossWithAMinusSign) {
  EXPECT_EQ(score({kText, kOtherText}), -2.5);
  EXPECT_GT(score({kOtherText}), score({kText}));  // the smaller loss is the better score
}

TEST(BestScore, ThereIsNoneWithoutAFiniteMean) {
  EXPECT_EQ(score({}), std::nullopt);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(best_score({result_of(kText, "loss", nan)}, {kText}, TaskSet::all()).has_value(), false);
}

}  // namespace
}  // namespace hyperx::data

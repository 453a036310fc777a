// What ranks send, and how the generators' gradient is kept, must not change what is learnt.
#include <gtest/gtest.h>

#include <set>

#include "tests/system/workplace.h"

namespace hyperx::testing_system {
namespace {

constexpr int kSteps = 20;
constexpr double kRate = 1e-3;
// Bounds on the difference of any parameter after 20 steps: five times the rounding that was measured over all tests
// here (9e-7, 3e-9; the tests print theirs). Adam moves a parameter by up to the rate a step, so a wrong sign shows.
constexpr double kLargest = 4.5e-6, kRootMeanSquare = 1.5e-8;

const Options kFactors = {{"parallel.exchange", "factors"}};
const Options kGather = {{"parallel.exchange", "gather"}};
const Options kDense = {{"parallel.exchange", "dense"}};
const Options kSharded = {{"parallel.generator", "sharded"}};
const Options kShardedGather = {{"parallel.exchange", "gather"}, {"parallel.generator", "sharded"}};

class ExchangeTest : public SystemTest {
 protected:
  // All ways of one model and recipe end with the same parameters as the factors on two ranks.
  void expect_same(const Options& recipe, const std::vector<std::pair<int, Options>>& others) {
    Options common = recipe;
    common["train.steps"] = std::to_string(kSteps);
    common["train.learning_rate"] = std::to_string(kRate);
    common["train.batch_sentences"] = "8";
    Options first = common;
    first.insert(kFactors.begin(), kFactors.end());
    train(2, "factors", first);
    const Tensors expected = tensors("factors", kSteps);
    int number = 0;
    for (const auto& [ranks, way] : others) {
      Options options = common;
      options.insert(way.begin(), way.end());
      const std::string name = "other-" + std::to_string(++number);
      train(ranks, name, options);
      const Difference found = difference(expected, tensors(name, kSteps));
      std::printf("%s %s, %d ranks: largest %.1e (%s), root mean square %.1e\n", way.begin()->first.c_str(),
                  way.begin()->second.c_str(), ranks, found.largest, found.where.c_str(), found.root_mean_square);
      EXPECT_LT(found.largest, kLargest) << found.where;
      EXPECT_LT(found.root_mean_square, kRootMeanSquare);
      EXPECT_LT(largest_relative_difference(steps("factors"), steps(name), "grad_norm"), 1e-4);
      EXPECT_LT(largest_relative_difference(steps("factors"), steps(name), "loss"), 1e-4);
    }
  }

  // Whether the recipe's norms are all above a limit.
  bool every_norm_above(double limit) const {
    for (const auto& step : steps("factors"))
      if (step.at("grad_norm").get<double>() <= limit) return false;
    return true;
  }
};

TEST_F(ExchangeTest, OnePairAStepClipped) {
  expect_same({{"train.clip_norm", "0.1"}},
              {{2, kDense}, {0, kDense}, {3, kFactors}, {2, kSharded}, {3, kSharded}, {4, kSharded}});
  EXPECT_TRUE(every_norm_above(0.1)) << "the clip was not active";
}

TEST_F(ExchangeTest, OnePairAStepNotClipped) { expect_same({{"train.clip_norm", "0"}}, {{2, kDense}, {0, kDense}}); }

TEST_F(ExchangeTest, ThreePairsAStepClipped) {
  expect_same({{"train.clip_norm", "0.1"}, {"train.pairs_per_step", "3"}},
              {{2, kGather}, {3, kGather}, {2, kDense}, {0, kDense}, {2, kSharded}, {3, kShardedGather}});
  EXPECT_TRUE(every_norm_above(0.1)) << "the clip was not active";
}

TEST_F(ExchangeTest, ThreePairsAStepNotClipped) {
  expect_same({{"train.clip_norm", "0"}, {"train.pairs_per_step", "3"}}, {{2, kGather}, {2, kDense}});
}

TEST_F(ExchangeTest, AHypernetworkALayer) {
  expect_same({{"train.clip_norm", "0.1"}, {"train.pairs_per_step", "3"}, {"hyperx.layer_dim", "0"}},
              {{2, kGather}, {2, kDense}, {0, kDense}, {3, kSharded}});
}

TEST_F(ExchangeTest, NoProjection) {
  expect_same({{"train.clip_norm", "0.1"}, {"hyperx.projected_dim", "0"}}, {{2, kDense}, {0, kDense}});
}

TEST_F(ExchangeTest, AConditionalNorm) {
  expect_same({{"train.pairs_per_step", "3"}, {"hyperx.adapter_norm_after", "conditional"}},
              {{2, kGather}, {0, kDense}});
}

TEST_F(ExchangeTest, APlainNorm) {
  expect_same({{"train.clip_norm", "0.1"}, {"hyperx.adapter_norm_after", "plain"}}, {{2, kDense}, {0, kDense}});
}

// Each rank sends 2(R - 1)/R of every value that is summed: K pairs' g of every layer; LayerNorms; the heads of the
// step's tasks; a loss a pair.
TEST_F(ExchangeTest, BytesSentAreThoseOfTheFactors) {
  constexpr int64_t kHidden = 32, kAdapter = 8, kLayers = 2, kTheta = 2 * kHidden * kAdapter + kHidden + kAdapter;
  for (const auto& [ranks, pairs] : {std::pair<int64_t, int64_t>{2, 1}, {3, 3}}) {
    const std::string name = "bytes-" + std::to_string(ranks);
    train(static_cast<int>(ranks), name,
          {{"train.steps", "10"}, {"train.pairs_per_step", std::to_string(pairs)}, {"parallel.exchange", "factors"}});
    std::map<std::string, int64_t> sizes;  // LayerNorms of the encoder, and heads by task
    for (const auto& [tensor, values] : tensors(name, 10)) {
      if (tensor.starts_with("encoder.")) sizes["encoder"] += std::ssize(values);
      if (tensor.starts_with("heads.")) sizes[tensor.substr(6, 3)] += std::ssize(values);
    }
    ASSERT_EQ(sizes.size(), 4U);
    const auto sent = [ranks = ranks](int64_t values) { return 2 * 4 * values * (ranks - 1) / ranks; };
    std::set<std::string> tasks_seen;
    for (const auto& step : steps(name)) {
      const std::string drawn = step.at("pair");
      int64_t small = sizes["encoder"] + pairs;
      for (const char* task : {"pos", "ner", "mlm"}) {
        if (drawn.find(std::string(task) + ":") == std::string::npos) continue;
        small += sizes[task];
        tasks_seen.insert(task);
      }
      EXPECT_EQ(step.at("bytes_sent"), sent(small) + sent(pairs * kLayers * kTheta)) << drawn;
    }
    EXPECT_GE(tasks_seen.size(), 2U);
  }
}

// Sharded: g by a reduce-scatter, theta by an all-gather, both cut into equal shares of the rows, and ds with the norm
// in fp64.
TEST_F(ExchangeTest, BytesSentWhereTheGeneratorIsSharded) {
  constexpr int64_t kRanks = 3, kHidden = 32, kAdapter = 8, kLayers = 2, kProjected = 192;
  constexpr int64_t kShare = (2 * kHidden * kAdapter + kHidden + kAdapter + kRanks - 1) / kRanks;
  const Options options{{"train.steps", "4"}, {"train.pairs", "pos:en"}};
  Options sharded = options;
  sharded.insert(kSharded.begin(), kSharded.end());
  train(kRanks, "whole", options);
  train(kRanks, "sharded", sharded);
  const int64_t g = 2 * 4 * kLayers * (2 * kHidden * kAdapter + kHidden + kAdapter) * (kRanks - 1) / kRanks;
  const int64_t own = 2 * 4 * (kRanks - 1) * kLayers * kShare;
  const int64_t sums = 2 * 8 * (kLayers * kProjected + 1) * (kRanks - 1) / kRanks;
  const auto whole_steps = steps("whole"), sharded_steps = steps("sharded");
  for (size_t i = 0; i < whole_steps.size(); ++i)
    EXPECT_EQ(sharded_steps[i].at("bytes_sent").get<int64_t>() - own - sums,
              whole_steps[i].at("bytes_sent").get<int64_t>() - g);
}

// A checkpoint is the same whoever held the rows: any number of ranks goes on with it.
TEST_F(ExchangeTest, ShardedRunsGoOnWithOtherRanks) {
  const Options common{
      {"train.learning_rate", std::to_string(kRate)}, {"checkpoint.every", "10"}, {"checkpoint.keep_last", "9"}};
  Options whole = common, half = common, rest = common;
  whole["train.steps"] = rest["train.steps"] = std::to_string(kSteps);
  half["train.steps"] = std::to_string(kSteps / 2);
  half["train.schedule"] = rest["train.schedule"] = whole["train.schedule"] = "constant";
  half.insert(kSharded.begin(), kSharded.end());
  rest.insert(kSharded.begin(), kSharded.end());
  train(2, "expected", whole);
  train(3, "sharded", half);
  train(2, "sharded", rest, {"--resume", "auto"});
  const Difference found = difference(tensors("expected", kSteps), tensors("sharded", kSteps));
  EXPECT_LT(found.largest, kLargest) << found.where;
  EXPECT_LT(found.root_mean_square, kRootMeanSquare);
  const Difference moved = difference(tensors("sharded", kSteps / 2), tensors("sharded", kSteps));
  EXPECT_GT(moved.largest, kRate);
}

// More ranks than a pair has batches: those without one still take part in making theta.
TEST_F(ExchangeTest, ShardedRunsEvaluateAlike) {
  Options options{{"train.steps", "4"}, {"eval.every", "2"}, {"eval.limit", "5"}};
  train(3, "whole", options);
  options.insert(kSharded.begin(), kSharded.end());
  train(3, "sharded", options);
  const auto whole = history("whole"), sharded = history("sharded");
  ASSERT_EQ(whole.size(), sharded.size());
  int evaluations = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    if (whole[i].at("event") != "evaluation") continue;
    ++evaluations;
    EXPECT_EQ(whole[i].at("pair"), sharded[i].at("pair"));
    const std::string metric = whole[i].at("main_metric");
    EXPECT_NEAR(whole[i].at("metrics").at(metric).get<double>(), sharded[i].at("metrics").at(metric).get<double>(),
                1e-5)
        << whole[i];
  }
  EXPECT_GE(evaluations, 6);
}

TEST_F(ExchangeTest, OneRankSendsNothing) {
  train(0, "alone", {{"train.steps", "3"}});
  for (const auto& step : steps("alone")) EXPECT_EQ(step.at("bytes_sent"), 0);
}

}  // namespace
}  // namespace hyperx::testing_system

#include "trainer/evaluation/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>

#include "model/methods/hyperx/hyperx_options.h"
#include "tests/support/errors.h"
#include "tests/trainer/tiny_training.h"

namespace hyperx::train {
namespace {

// What an evaluation gives on rank 0, and the batches of all ranks.
struct Found {
  std::vector<data::EvaluationResult> results;
  std::vector<SplitPredictions> predictions;
  int batches = 0;
};

class EvaluationTest : public testing::Test {
 protected:
  static const TinyData& data() {
    static const TinyData data;
    return data;
  }

  // Of a model of all pairs, with values away from the start, where all pairs predict alike.
  Found evaluate(int ranks, const char* generator = "replicated") {
    Config config = config_;
    config.parallel.generator = generator;
    const std::vector<data::Pair> pairs = data().corpus.pairs_with("dev");
    Found found;
    std::atomic<int> batches = 0;
    comm::ThreadRanks(ranks).run([&](comm::Communicator& communicator) {
      RankTraining training(data(), config, communicator);
      for (int64_t step = 0; step < 3; ++step) training.run(step);
      Evaluator evaluator(training.model, data().corpus, communicator, config, [&] { ++batches; });
      std::vector<SplitPredictions> predictions;
      const auto results = evaluator.evaluate(pairs, "dev", &predictions);
      if (communicator.rank() == 0) found = {results, predictions};
      ++ended_;
    });
    found.batches = batches;
    return found;
  }

  Config config_ = tiny_training_config();
  std::atomic<int> ended_ = 0;
};

void expect_equal(const Found& expected, const Found& found, double tolerance, const std::string& what) {
  ASSERT_EQ(expected.results.size(), found.results.size());
  for (size_t i = 0; i < expected.results.size(); ++i) {
    const data::EvaluationResult &a = expected.results[i], &b = found.results[i];
    EXPECT_EQ(a.pair, b.pair);
    EXPECT_EQ(a.signature, b.signature);
    EXPECT_EQ(a.words_scored, b.words_scored);
    for (const auto& [name, value] : a.metrics.values)
      EXPECT_NEAR(value, b.metrics.values.at(name), tolerance) << what << ": " << a.pair.name() << " " << name;
    EXPECT_EQ(expected.predictions[i].labels, found.predictions[i].labels) << what << ": " << a.pair.name();
  }
}

TEST_F(EvaluationTest, GivesTheSameNumbersOnAnyNumberOfRanks) {
  const Found expected = evaluate(1);
  ASSERT_EQ(expected.results.size(), 4U);
  ASSERT_GT(expected.batches, 8);
  for (const int ranks : {2, 3, 4}) {
    const Found found = evaluate(ranks);
    // Training differs in the last bits, and so may a loss; what is predicted does not.
    expect_equal(expected, found, 1e-12, std::to_string(ranks) + " ranks");
    EXPECT_EQ(found.batches, expected.batches) << "every batch once";
  }
}

TEST_F(EvaluationTest, RanksWithoutABatchTakePartInMakingTheta) {
  config_.eval.limit = 1;
  const Found expected = evaluate(1);
  EXPECT_EQ(expected.batches, 4);
  expect_equal(expected, evaluate(5, "sharded"), 1e-12, "5 ranks, sharded");
  expect_equal(expected, evaluate(6), 1e-12, "6 ranks");
  EXPECT_EQ(ended_, 1 + 5 + 6);
}

TEST_F(EvaluationTest, AccuracyIsTheShareOfWordsThatAreRight) {
  const Found found = evaluate(2);
  int tagged = 0;
  for (size_t i = 0; i < found.results.size(); ++i) {
    const data::EvaluationResult& result = found.results[i];
    const data::Split& split = data().corpus.split(result.pair, "dev");
    EXPECT_EQ(result.sentences, split.sentences());
    if (result.pair.task == "mlm") {
      EXPECT_EQ(result.main_metric, "loss");
      EXPECT_GT(result.main_value(), 0);
      EXPECT_DOUBLE_EQ(result.metrics.values.at("perplexity"), std::exp(result.main_value()));
      continue;
    }
    ++tagged;
    const std::vector<data::LabelId>& labels = found.predictions[i].labels;
    ASSERT_EQ(labels.size(), split.labels.size());
    int64_t right = 0, lacking = 0;
    for (size_t word = 0; word < labels.size(); ++word) {
      right += labels[word] == split.labels[word] ? 1 : 0;
      lacking += labels[word] == data::kNoPrediction ? 1 : 0;
    }
    EXPECT_DOUBLE_EQ(result.metrics.values.at("accuracy"),
                     static_cast<double>(right) / static_cast<double>(labels.size()));
    EXPECT_EQ(lacking, result.unlabelled_words + result.truncated_words);
    EXPECT_EQ(result.main_metric, result.pair.task == "ner" ? "f1" : "accuracy");
  }
  EXPECT_EQ(tagged, 3);
}

TEST_F(EvaluationTest, ALimitTakesTheFirstSentences) {
  const Found whole = evaluate(2);
  config_.eval.limit = 5;
  const Found some = evaluate(2);
  for (size_t i = 0; i < some.results.size(); ++i) {
    EXPECT_EQ(some.results[i].sentences, 5);
    const auto &few = some.predictions[i].labels, &all = whole.predictions[i].labels;
    ASSERT_LE(few.size(), all.size());
    EXPECT_TRUE(std::equal(few.begin(), few.end(), all.begin())) << some.results[i].pair.name();
  }
}

TEST_F(EvaluationTest, NumbersDoNotDependOnTheSizeOfBatches) {
  const Found expected = evaluate(2);
  config_.eval.batch_tokens = 4096;
  const Found found = evaluate(2);
  EXPECT_EQ(found.batches, 4);
  expect_equal(expected, found, 1e-12, "one batch per pair");
}

TEST_F(EvaluationTest, ALanguageThatWasNotLearntIsScoredWhereTheMethodDoesNotUseIt) {
  config_.train.pairs = "pos:aa";
  const data::Pair other{"pos", "bb"};
  const auto evaluated = [&](comm::Communicator& ranks) {
    RankTraining training(data(), config_, ranks);
    const auto pairs = scorable_pairs(data().corpus, "pos:bb", "dev", training.model.options(), "eval.pairs");
    return Evaluator(training.model, data().corpus, ranks, config_, [] {}).evaluate(pairs, "dev").at(0);
  };
  comm::ThreadRanks(1).run([&](comm::Communicator& ranks) {
    EXPECT_EQ(test::message_of(ExitCode::kBadConfig, [&] { evaluated(ranks); }),
              "eval.pairs: the model cannot score pos:bb: it has learnt nothing of the language bb");
    config_.sections.edit<model::HyperXOptions>().language_dim = 0;
    EXPECT_EQ(evaluated(ranks).pair, other) << "one adapter for all languages";
    config_.model.method = "mbert";
    EXPECT_EQ(evaluated(ranks).pair, other) << "no adapters at all";
  });
}

}  // namespace
}  // namespace hyperx::train

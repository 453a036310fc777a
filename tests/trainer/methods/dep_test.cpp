// The task of trees in training: on any number of ranks, resumed, scored, and learnt.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/files.h"
#include "data/batch/tree_rows.h"
#include "data/tasks/dependencies/dependency_label.h"
#include "model/comm/local_communicator.h"
#include "tests/support/folder.h"
#include "tests/trainer/tiny_training.h"
#include "trainer/evaluation/evaluation.h"
#include "trainer/run/run_dir.h"

namespace hyperx::train {
namespace {

class DepTest : public testing::Test {
 protected:
  // The random sentences have trees in which every word hangs on its predecessor.
  static const TinyData& data() {
    static const TinyData data({"dep aa train conllu aa.conllu", "dep aa dev conllu aa.dev.conllu",
                                "dep bb train conllu bb.conllu", "dep bb dev conllu bb.dev.conllu"});
    return data;
  }
  static Config config_of(const char* method = "hyperx") {
    Config config = tiny_training_config();
    config.model.method = method;
    config.train.pairs = "dep:*,pos:aa";
    config.train.pairs_per_step = 2;
    return config;
  }

  data::test::TemporaryFolder folder_;
};

TEST_F(DepTest, ThreeRanksTrainAsOne) {
  for (const char* method : {"hyperx", "mbert"}) {
    expect_three_ranks_train_as_one(data(), config_of(method));
    const Trained one = train_on(1, data(), config_of(method));
    EXPECT_GT(one.moments.at("m/heads.dep.arcs.weight").abs().max().item<double>(), 0);
    EXPECT_GT(one.moments.at("m/heads.dep.relations.weight").abs().max().item<double>(), 0);
  }
}

TEST_F(DepTest, AResumedRunEndsWithTheSameBytes) {
  expect_resumed_run_is_the_same(data(), config_of(), folder_.path());
}

TEST_F(DepTest, MicroBatchesAndTruncationChangeNothingElse) {
  Config config = config_of(), pieces = config;
  pieces.train.micro_batch_tokens = 30;
  EXPECT_LT(gap_between(train_on(1, data(), config).values, train_on(1, data(), pieces).values).largest, 1e-9);
}

TEST_F(DepTest, LearnsTrees) {
  Config config = config_of("mbert");
  config.train.pairs = "dep:aa";
  config.train.pairs_per_step = 1;
  config.train.steps = 400;
  config.train.learning_rate = 3e-3;
  comm::LocalCommunicator alone;
  RankTraining training(data(), config, alone);
  Evaluator evaluator(training.model, data().corpus, alone, training.config, [] {});
  const auto before = evaluator.evaluate({{"dep", "aa"}}, "dev").at(0);
  for (int64_t step = 0; step < config.train.steps; ++step) training.run(step);
  std::vector<SplitPredictions> predictions;
  const auto after = evaluator.evaluate({{"dep", "aa"}}, "dev", &predictions).at(0);
  EXPECT_EQ(after.main_metric, "las");  // of little worth here, where relations are random
  const auto of_predicted = [](const data::EvaluationResult& result) {  // sentences are cut at 24 sub-words
    return result.metrics.values.at("uas") * static_cast<double>(result.words) /
           static_cast<double>(result.words - result.truncated_words - result.unlabelled_words);
  };
  EXPECT_GT(of_predicted(after), 0.8);
  EXPECT_LT(of_predicted(before), 0.6) << "all scores are 0, and any tree is as good";
  EXPECT_GE(after.metrics.values.at("uas"), after.main_value());
  EXPECT_GT(after.truncated_words, 0);
  const data::Split& split = data().corpus.split({"dep", "aa"}, "dev");
  size_t word = 0;
  for (int64_t s = 0; s < split.sentences(); ++s) {
    int roots = 0;
    const int64_t words = std::ssize(split.labels_of(s));
    for (int64_t w = 0; w < words; ++w, ++word) {
      if (predictions[0].labels[word] == data::kNoPrediction) continue;
      const auto label = data::DependencyLabel::of(predictions[0].labels[word], 38);
      EXPECT_LE(label.head, words);
      EXPECT_NE(label.head, w + 1);
      roots += label.head == 0;
    }
    EXPECT_EQ(roots, 1);
  }
}

TEST(TreeRows, HeadsBecomeNumbersOfWords) {
  data::Batch batch;
  batch.label_words = {-1, 0, 0, 2, 5, -1, 1};  // words 1, 3 and 4 of the first sentence have no rows
  std::vector<int64_t> labels;
  for (const int64_t head : {0, 0, 0, 3, 1, 0, 1}) labels.push_back(data::DependencyLabel{head, 4}.packed(38));
  data::number_heads(batch, 38, labels);
  std::vector<int64_t> heads;
  for (const int64_t label : labels) heads.push_back(data::DependencyLabel::of(label, 38).head);
  EXPECT_THAT(heads, testing::ElementsAre(0, 0, 0, 6, 1, 0, 2));
}

}  // namespace
}  // namespace hyperx::train

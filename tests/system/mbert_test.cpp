// Full fine-tuning, as a user runs it.
#include <gmock/gmock.h>

#include <filesystem>

#include "common/files.h"
#include "tests/system/workplace.h"

namespace hyperx::testing_system {
namespace {

using testing::HasSubstr;

const Options kFine = {
    {"model.method", "mbert"}, {"train.steps", "6"}, {"train.schedule", "constant"}, {"train.weight_decay", "0.01"}};

Options with(Options more) {
  more.insert(kFine.begin(), kFine.end());
  return more;
}

class MBertTest : public SystemTest {};

TEST_F(MBertTest, TwoRanksComputeWhatOneDoes) {
  train(0, "one", kFine);
  train(2, "two", kFine);
  const auto one = steps("one"), two = steps("two");
  ASSERT_EQ(one.size(), 6U);
  for (const char* key : {"loss", "grad_norm"}) {
    const double gap = largest_relative_difference(one, two, key);
    EXPECT_LT(gap, 1e-4) << key;
  }
  const Difference gap = difference(tensors("one", 6), tensors("two", 6));
  EXPECT_LT(gap.root_mean_square, 1e-5) << gap.where;
}

TEST_F(MBertTest, GoesOnBitForBit) {
  train(0, "whole", kFine);
  train(0, "cut", with({{"train.steps", "3"}}));
  train(0, "cut", kFine, {"--resume", "auto"});
  for (const char* file : {"model.h5", "optimizer.h5"})
    EXPECT_TRUE(checkpoint_file("whole", 6, file) == checkpoint_file("cut", 6, file)) << file;
}

TEST_F(MBertTest, LearnsInBf16AndIsEvaluatedPredictedFromAndInspected) {
  train(0, "run", with({{"train.precision", "bf16"}}));
  const auto all = steps("run");
  for (const auto& step : all) EXPECT_TRUE(step.at("grad_norm").is_number()) << step;
  const Outcome scores = run(0, {"evaluate", path("run"), "--eval.pairs", "pos:*,ner:*", "--eval.limit", "20",
                                 "--device", "cpu", "--threads", "1"});
  EXPECT_EQ(scores.code, 0) << scores.errors;
  EXPECT_THAT(scores.output, HasSubstr("pos"));
  const Outcome tags = run(0, {"predict", path("run"), "--task", "pos", "--language", "mt",
                               sample("pos.mt.test.conllu"), "--device", "cpu", "--threads", "1"});
  EXPECT_EQ(tags.code, 0) << tags.errors;
  EXPECT_EQ(line_count(tags.output), line_count(read_file(sample("pos.mt.test.conllu"))));
  const Outcome seen = run(0, {"inspect", checkpoint("run", 6)});
  EXPECT_EQ(seen.code, 0) << seen.errors;
  EXPECT_THAT(seen.output, HasSubstr("model.method: mbert"));
}

// mBERT has 177,262,848 parameters without its pooler, 38,400 of them in LayerNorms, and 177,853,440 with it.
TEST_F(MBertTest, EstimateKnowsItsSize) {
  const std::string folder = path("bert-base");
  std::filesystem::create_directories(folder);
  write_file_atomically(
      folder + "/config.json",
      R"({"model_type": "bert", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
                            "intermediate_size": 3072, "vocab_size": 119547, "max_position_embeddings": 512,
                            "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu"})");
  const Outcome outcome = run(0, {"estimate", "--model.encoder", folder, "--model.method", "mbert"});
  EXPECT_EQ(outcome.code, 0) << outcome.errors;
  EXPECT_THAT(outcome.output + outcome.errors, HasSubstr("encoder 177224448"));
}

}  // namespace
}  // namespace hyperx::testing_system

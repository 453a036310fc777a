// PSF in training: what is trained, on any number of ranks, resumed, and scored with the means plugged in.
#include "model/methods/psf/psf.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/files.h"
#include "tests/support/errors.h"
#include "tests/support/folder.h"
#include "tests/trainer/tiny_training.h"
#include "trainer/run/run_dir.h"

namespace hyperx::train {
namespace {

using hyperx::test::user_error;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class PsfTest : public testing::TestWithParam<const char*> {
 protected:
  static const TinyData& data() {
    static const TinyData data({"ner bb train tagged aa.dev.tagged", "ner bb dev tagged aa.tagged"});
    return data;
  }
  static Config config_of(const std::string& posterior = "diagonal") {
    Config config = tiny_training_config();
    config.model.method = "psf";
    config.train.pairs = "pos:*,ner:*";
    config.train.pairs_per_step = 2;
    config.train.learning_rate = 1e-3;
    config.train.seed = 4;  // with others the last ReLU of so small a network may be dead
    options(config).latent_dim = 5;
    options(config).rank = 2;
    options(config).posterior = posterior;
    return config;
  }
  static model::PsfOptions& options(Config& config) { return config.sections.edit<model::PsfOptions>(); }
  std::string checkpoint(const std::string& run, int64_t step) const {
    return RunDir{folder_.path(run)}.checkpoints() + "/" + checkpoint_name(step);
  }

  data::test::TemporaryFolder folder_;
};

TEST_P(PsfTest, EverythingIsTrained) {
  int of_encoder = 0, of_psf = 0;
  for (const auto& [name, moment] : train_on(1, data(), config_of(GetParam())).moments) {
    if (!name.ends_with("key.bias")) {
      EXPECT_GT(moment.abs().max().item<double>(), 0) << name << " got no gradient";
    }
    ++(name.substr(2).starts_with("psf.") ? of_psf : of_encoder);
  }
  EXPECT_EQ(of_psf, 2 * (4 + (GetParam() == std::string("diagonal") ? 0 : 2) + 12 + 2 * 6));
  EXPECT_GT(of_encoder, 60);
}

TEST_P(PsfTest, ThreeRanksTrainAsOne) { expect_three_ranks_train_as_one(data(), config_of(GetParam())); }

TEST_P(PsfTest, AResumedRunEndsWithTheSameBytes) {
  Config config = config_of(GetParam());
  config.checkpoint.every = 5;
  config.checkpoint.keep_last = 9;
  for (const char* run : {"whole", "cut"}) train_run(data(), config, folder_.path(run), {.ranks = 2});
  for (const int64_t step : {10, 12}) std::filesystem::remove_all(checkpoint("cut", step));
  train_run(data(), config, folder_.path("cut"), {.ranks = 2, .resume = true});
  EXPECT_TRUE(content_of(folder_.path("cut"), 12) == content_of(folder_.path("whole"), 12));
}

TEST_P(PsfTest, TheWordAverageAndTheSamplesTakePart) {
  Config config = config_of(GetParam());
  const Trained before = train_on(1, data(), config);
  options(config).word_average = "once";
  const Trained once = train_on(1, data(), config);
  EXPECT_NEAR(once.losses[0][0], before.losses[0][0], 1e-12) << "the log shows the mean over words in any case";
  EXPECT_GT(gap_between(once.values, before.values).largest, 1e-6);
  options(config).word_average = "twice";
  options(config).samples = 1;
  EXPECT_GT(gap_between(train_on(1, data(), config).values, before.values).largest, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Posteriors, PsfTest, testing::Values("diagonal", "low-rank"), [](const auto& parameter) {
  return std::string(parameter.param[0] == 'd' ? "Diagonal" : "LowRank");
});

TEST(PsfSettings, OthersAreRefusedWithTheReason) {
  const TinyData data(
      {"ner bb train tagged aa.dev.tagged", "dep aa train conllu aa.conllu", "dep bb train conllu bb.conllu"});
  const auto refusal = [&](const char* pairs) {
    Config config = tiny_training_config();
    config.model.method = "psf";
    config.train.pairs = pairs;
    return user_error([&] { train_on(1, data, config); });
  };
  EXPECT_THAT(refusal("pos:*"), AllOf(StartsWith("78"), HasSubstr("there is one task")));
  EXPECT_THAT(refusal("pos:*,ner:aa"), AllOf(StartsWith("78"), HasSubstr("ner is there in aa alone")));
  EXPECT_THAT(refusal("pos:*,ner:*,mlm:*"), AllOf(StartsWith("78"), HasSubstr("mlm has no labels")));
  EXPECT_THAT(refusal("pos:*,dep:*"), AllOf(StartsWith("78"), HasSubstr("dep has no last layer")));
  EXPECT_EQ(refusal("pos:*,ner:*"), "");
}

}  // namespace
}  // namespace hyperx::train

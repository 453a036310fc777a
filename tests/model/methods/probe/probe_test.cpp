// A method is a folder and a row: nothing in src/ knows the probe, which uses every hook of Method, and yet it trains
// on several ranks, is saved, resumed, scored, and built upon by another run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "common/files.h"
#include "model/options.h"
#include "tests/model/methods/probe/probe_options.h"
#include "tests/support/errors.h"
#include "tests/support/folder.h"
#include "tests/trainer/tiny_training.h"
#include "trainer/evaluation/evaluation.h"
#include "trainer/run/run_dir.h"

namespace hyperx::train {
namespace {

using hyperx::test::user_error;

using testing::HasSubstr;

class ProbeTest : public testing::Test {
 protected:
  static const TinyData& data() {
    static const TinyData data;
    return data;
  }

  ProbeTest() {
    config_.model.method = "probe";
    config_.train.steps = 40;
    config_.train.pairs_per_step = 2;
  }
  model::ProbeOptions& options() { return config_.sections.edit<model::ProbeOptions>(); }

  Config config_ = tiny_training_config();
  data::test::TemporaryFolder folder_;
};

double mean_of(const std::vector<std::vector<double>>& losses, size_t begin, size_t end) {
  double sum = 0;
  for (size_t step = begin; step < end; ++step) sum += (losses.at(step).at(0) + losses.at(step).at(1)) / 2;
  return sum / static_cast<double>(end - begin);
}

TEST_F(ProbeTest, HasItsOptions) {
  const config::Option* const option = model::options().find("probe.samples");
  ASSERT_NE(option, nullptr);
  option->set(config_, "7");
  EXPECT_EQ(options().samples, 7);
}

TEST_F(ProbeTest, LearnsAndEachHookTakesPart) {
  const Trained trained = train_on(1, data(), config_);
  EXPECT_LT(mean_of(trained.losses, 30, 40), 0.9 * mean_of(trained.losses, 0, 10));
  const Values& moved = trained.moments;
  for (const char* name : {"probe.scale.aa", "probe.scale.bb", "probe.shift.0", "probe.shift.1", "probe.decoded",
                           "probe.head.pos", "probe.head.ner"})
    EXPECT_GT(moved.at(std::string("m/") + name).abs().max().item<double>(), 0) << name << " got no gradient";
  EXPECT_FALSE(moved.contains("m/heads.pos.weight")) << "the method makes the heads";

  Config other = config_;
  other.sections.edit<model::ProbeOptions>().samples = 1;
  EXPECT_GT(gap_between(trained.values, train_on(1, data(), other).values).largest, 1e-6) << "samples";
  other = config_;
  other.sections.edit<model::ProbeOptions>().penalty = 0;
  EXPECT_GT(gap_between(trained.values, train_on(1, data(), other).values).largest, 1e-6) << "extra loss";
}

TEST_F(ProbeTest, ThreeRanksTrainAsOne) {
  config_.train.steps = 12;
  expect_three_ranks_train_as_one(data(), config_);
}

TEST_F(ProbeTest, AResumedRunEndsWithTheSameBytes) {
  config_.train.steps = 12;
  expect_resumed_run_is_the_same(data(), config_, folder_.path());
}

TEST_F(ProbeTest, IsEvaluatedFromItsCheckpoint) {
  config_.train.steps = config_.eval.every = 12;
  train_run(data(), config_, folder_.path("run"), {});
  std::map<std::string, double> scores;  // while it trained
  std::ifstream lines(RunDir{folder_.path("run")}.metrics());
  for (std::string line; std::getline(lines, line);) {
    const auto event = nlohmann::json::parse(line);
    if (event.at("event") == "evaluation")
      scores[event.at("pair")] = event.at("metrics").at(event.at("main_metric").get<std::string>());
  }
  ASSERT_EQ(scores.size(), 4U);
  const Checkpoint saved = Checkpoint::open(resolve_checkpoint(folder_.path("run")));
  ModelInfo info = ModelInfo::from_json(saved.model_info(), "run");
  info.config.train.precision = "fp64";  // how it is computed is not of the model
  comm::ThreadRanks(1).run([&](comm::Communicator& ranks) {
    model::Model model(data().encoder, tiny_options(info, ranks));
    load_values(model.parameters(), [&](const auto& targets) { saved.load_model(targets); });
    Evaluator evaluator(model, data().corpus, ranks, info.config, [] {});
    const auto results = evaluator.evaluate({{"pos", "aa"}, {"mlm", "bb"}}, "dev");
    ASSERT_EQ(results.size(), 2U);
    for (const auto& result : results) EXPECT_EQ(result.main_value(), scores.at(result.pair.name()));
  });
}

TEST_F(ProbeTest, BuildsOnAnotherRun) {
  config_.train.steps = 12;
  const Trained alone = train_on(1, data(), config_);
  train_run(data(), config_, folder_.path("first"), {});
  options().needs = folder_.path("first");
  const Trained second = train_on(1, data(), config_);
  EXPECT_GT(gap_between(alone.values, second.values).largest, 1e-6);

  options().needs = folder_.path("absent");
  EXPECT_THAT(user_error([&] { train_on(1, data(), config_); }), HasSubstr(folder_.path("absent")));
  Config hyperx = tiny_training_config();
  train_run(data(), hyperx, folder_.path("other"), {});
  options().needs = folder_.path("other");
  EXPECT_THAT(user_error([&] { train_on(1, data(), config_); }), HasSubstr("has no scale of the language aa"));
}

}  // namespace
}  // namespace hyperx::train

#include "trainer/run/run_log.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/log.h"
#include "tests/data/corpus/corpus_fixture.h"

namespace hyperx::train {
namespace {

using nlohmann::json;

class RunLogTest : public testing::Test {
 protected:
  RunLogTest() { log::set_rank(1, 1); }  // warnings only

  std::vector<json> lines() const {
    std::ifstream file(run_.metrics());
    std::vector<json> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
    return lines;
  }
  static StepRecord step(int64_t number) {
    StepRecord record;
    record.step = number;
    record.pair = "pos:en,ner:tr";
    record.loss = 1.5;
    record.gradient_norm = 0.25;
    record.spread = 0.75;
    record.learning_rate = 1e-3;
    record.sentences = 32;
    record.tokens = 700;
    record.labelled = 500;
    record.bytes_sent = 1234;
    record.seconds = 0.5;
    return record;
  }

  data::test::TemporaryFolder folder_;
  RunDir run_{folder_.path()};
};

TEST_F(RunLogTest, AStepIsALineWithAllItsFigures) {
  RunLog log(run_, true, 0, 10, {});
  log.step(step(1));
  EXPECT_EQ(lines(), std::vector<json>{json::parse(R"({"event": "step", "step": 1, "pair": "pos:en,ner:tr",
    "loss": 1.5, "grad_norm": 0.25, "spread": 0.75, "learning_rate": 0.001, "sentences": 32, "tokens": 700, "labelled": 500,
    "bytes_sent": 1234, "seconds": 0.5})")});
  EXPECT_EQ(log.state().step, 1);
}

TEST_F(RunLogTest, ASkippedStepSaysSoAndHasNoNorm) {
  RunLog log(run_, true, 0, 10, {});
  StepRecord record = step(1);
  record.skipped = true;
  record.gradient_norm = std::nan("");
  log.step(record);
  EXPECT_TRUE(lines().at(0).at("skipped"));
  EXPECT_TRUE(lines().at(0).at("grad_norm").is_null());
}

TEST_F(RunLogTest, AnEvaluationIsALinePerPair) {
  RunLog log(run_, true, 0, 10, {});
  data::EvaluationResult pos, mlm;
  pos.pair = {"pos", "tr"};
  mlm.pair = {"mlm", "kk"};
  pos.split = mlm.split = "dev";
  pos.main_metric = "accuracy";
  pos.metrics.values["accuracy"] = 0.75;
  pos.novel = data::MetricSet{{{"accuracy", 0.5}}, {}};
  pos.sentences = 9;
  pos.words = 100;
  mlm.main_metric = "loss";
  mlm.metrics.values["loss"] = 2.5;
  log.evaluation(4, {pos, mlm}, 1.0);
  ASSERT_EQ(lines().size(), 2U);
  EXPECT_EQ(lines()[0], json::parse(R"({"event": "evaluation", "step": 4, "pair": "pos:tr", "split": "dev",
    "main_metric": "accuracy", "metrics": {"accuracy": 0.75}, "novel": {"accuracy": 0.5}, "sentences": 9,
    "words": 100})"));
  EXPECT_EQ(lines()[1].at("metrics"), json({{"loss", 2.5}}));
  EXPECT_FALSE(lines()[1].contains("novel"));
}

TEST_F(RunLogTest, StateIsWrittenWhenItChanges) {
  RunState state;
  state.steps = 10;
  state.world_size = 3;
  RunLog log(run_, true, 0, 10, state);
  EXPECT_FALSE(std::filesystem::exists(run_.state()));
  log.set_state("running");
  log.step(step(7));
  EXPECT_EQ(read_run_state(run_).step, 0) << "a step by itself is not worth a file";
  log.checkpoint(7, 0.01, 0, 5000);
  log.saved("step-0000007");
  EXPECT_EQ(read_run_state(run_).step, 7);
  EXPECT_EQ(read_run_state(run_).checkpoint, "step-0000007");
  EXPECT_EQ(read_run_state(run_).world_size, 3);
  log.set_state("finished");
  EXPECT_EQ(read_run_state(run_).state, "finished");
  EXPECT_EQ(lines().back().at("event"), "checkpoint");
  EXPECT_EQ(lines().back().at("bytes"), 5000);
}

TEST_F(RunLogTest, AResumedRunCutsWhatIsDoneAgain) {
  {
    RunLog log(run_, true, 0, 10, {});
    for (int64_t number = 1; number <= 5; ++number) log.step(step(number));
  }
  std::ofstream(run_.metrics(), std::ios::app) << R"({"event": "step", "st)";  // killed while it wrote
  RunLog log(run_, true, 3, 10, {});
  log.step(step(4));
  std::vector<int64_t> numbers;
  for (const json& line : lines()) numbers.push_back(line.at("step"));
  EXPECT_EQ(numbers, (std::vector<int64_t>{1, 2, 3, 4}));
}

TEST_F(RunLogTest, OtherRanksWriteNothing) {
  RunLog log(run_, false, 0, 10, {});
  log.step(step(1));
  log.evaluation(1, {}, 0);
  log.checkpoint(1, 0, 0, 1);
  log.saved("step-0000001");
  log.heartbeat();
  log.set_state("finished");
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

}  // namespace
}  // namespace hyperx::train

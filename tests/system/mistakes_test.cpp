// A user's mistakes under mpirun: the right code, one or two lines, once. And a training that diverges.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "common/files.h"
#include "tests/system/workplace.h"

namespace hyperx::testing_system {
namespace {

using testing::HasSubstr;
using testing::Not;

class MistakesTest : public SystemTest {
 protected:
  // Lines of the program: those that begin with its name.
  static std::vector<std::string> own_lines(const std::string& errors) {
    std::istringstream lines(errors);
    std::vector<std::string> own;
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with("hyperx")) own.push_back(line);
    return own;
  }

  void expect_refused(const Arguments& line, int code, const std::string& text) {
    for (const int ranks : {2, 0}) {
      const Outcome outcome = run(ranks, line);
      EXPECT_EQ(outcome.code, code) << outcome.errors;
      EXPECT_EQ(own_lines(outcome.errors).size(), 1U) << ranks << " ranks: " << outcome.errors;
      EXPECT_THAT(outcome.errors, HasSubstr(text));
      for (const char* trace : {"terminate called", "frame #", "Exception raised", "MPI_ABORT", "Signal:", "what():"})
        EXPECT_THAT(outcome.errors, Not(HasSubstr(trace)));
      if (ranks == 0) {
        EXPECT_LE(line_count(outcome.errors), 2U) << outcome.errors;
        std::printf("%d %s", outcome.code, outcome.errors.c_str());
      }
    }
  }
};

TEST_F(MistakesTest, AMisspeltKey) {
  Arguments line = train_line("run");
  line.insert(line.end(), {"--train.learning_rat", "1"});
  expect_refused(line, 64, "train.learning_rate");
}

TEST_F(MistakesTest, AWordBehindResumeThatIsNotAuto) {
  train(0, "run", {{"train.steps", "2"}});
  Arguments line = train_line("run", {{"train.steps", "4"}});
  line.insert(line.end(), {"--resume", "no"});
  expect_refused(line, 64, "--resume 'no': it takes only auto or restart");
  EXPECT_EQ(state("run").at("step"), 2);
}

TEST_F(MistakesTest, NoPairs) { expect_refused(train_line("run", {{"train.pairs", ""}}), 78, "train.pairs"); }

TEST_F(MistakesTest, APairThatTheCorpusLacks) {
  expect_refused(train_line("run", {{"train.pairs", "pos:xx"}}), 78, "pos:xx");
}

// The corrected line needs no other folder.
TEST_F(MistakesTest, AMistakeLeavesTheFolderFree) {
  expect_refused(train_line("run", {{"train.pairs", "pos:xx"}}), 78, "pos:xx");
  train(2, "run");
  EXPECT_EQ(state("run").at("state"), "finished");
}

// What is scored is looked at before the first step, not at the first evaluation.
TEST_F(MistakesTest, AnEvaluationThatCannotBe) {
  const auto line = [&](const Options& options) {
    Options all = {{"train.pairs", "pos:en"}, {"eval.every", "2"}};
    for (const auto& [key, value] : options) all[key] = value;
    return train_line("run", all);
  };
  expect_refused(line({{"eval.pairs", "pos:en,ner:en"}}), 78, "ner:en: it has learnt nothing of the task ner");
  expect_refused(line({{"eval.pairs", "pos:xx"}}), 78, "eval.pairs: 'pos:xx' matches no pair");
  expect_refused(line({{"train.pairs", "pos:en,ner:en"}, {"eval.pairs", "pos:en"}, {"checkpoint.select", "ner:en"}}),
                 78, "by ner:en, which eval.pairs = 'pos:en' does not score");
  EXPECT_FALSE(std::filesystem::exists(path("run") + "/metrics.jsonl"));
}

TEST_F(MistakesTest, LongerSentencesThanTheEncoderHasPositions) {
  expect_refused(train_line("run", {{"data.max_subwords", "60000"}}), 78, "data.max_subwords = 60000 is more than");
}

TEST_F(MistakesTest, AWarmUpLongerThanTheEpochs) {
  Options options = {{"train.epochs", "1"}, {"train.warmup_steps", "100000"}};
  Arguments line = train_line("run", options);
  const auto steps = std::find(line.begin(), line.end(), "--train.steps");
  line.erase(steps, steps + 2);
  expect_refused(line, 78, "train.warmup_steps = 100000 is more than the");
}

TEST_F(MistakesTest, ASettingOfPrepareAlone) {
  expect_refused(train_line("run", {{"data.overlap", "drop"}}), 64, "data.overlap");
}

TEST_F(MistakesTest, APairWithoutATrainSplit) {
  expect_refused(train_line("run", {{"train.pairs", "pos:is"}}), 78, "pos:is");
}

TEST_F(MistakesTest, AMissingEncoder) {
  expect_refused(train_line("run", {{"model.encoder", path("nowhere")}}), 66, path("nowhere"));
}

TEST_F(MistakesTest, AMissingCorpus) {
  expect_refused(train_line("run", {{"data.corpus", path("nowhere")}}), 66, path("nowhere"));
}

TEST_F(MistakesTest, ACorpusOfAnotherVocabulary) {
  write_encoder(path("other"), 11000);
  expect_refused(train_line("run", {{"model.encoder", "random:" + path("other")}}), 78, "vocabulary");
}

TEST_F(MistakesTest, AFolderThatHoldsARun) {
  train(0, "run", {{"train.steps", "2"}});
  const std::string before = read_file(path("run") + "/metrics.jsonl");
  expect_refused(train_line("run"), 73, "--resume auto");
  EXPECT_EQ(read_file(path("run") + "/metrics.jsonl"), before);
  EXPECT_EQ(state("run").at("state"), "finished");
}

TEST_F(MistakesTest, ARunFolderThatCannotBe) {
  write_file_atomically(path("file"), "");
  expect_refused(train_line("file"), 73, path("file"));
}

// The last rank fails, and the first, which then waits for it in vain, would blame itself a little later.
TEST_F(MistakesTest, TheRankThatFailsFirstIsNamed) {
  Arguments line = train_line("run", {{"parallel.start_limit_seconds", "5"}});
  line.insert(line.end(), {":", "-np", "1", HYPERX_PROGRAM});
  const Arguments other = train_line("run", {{"train.pairs", "pos:xx"}});
  line.insert(line.end(), other.begin(), other.end());
  const Outcome outcome = run(1, line);
  EXPECT_EQ(outcome.code, 78) << outcome.errors;
  const nlohmann::json end = state("run");
  EXPECT_EQ(end.at("state"), "failed");
  EXPECT_EQ(end.at("failure").at("rank"), 1) << end;
  EXPECT_EQ(end.at("failure").at("section"), "start");
  EXPECT_THAT(end.at("failure").at("reason").get<std::string>(), HasSubstr("pos:xx"));
}

TEST_F(MistakesTest, ADivergedTrainingEndsWithPairAndStep) {
  const Options options = {{"train.learning_rate", "1e30"}, {"train.warmup_steps", "0"}, {"train.schedule", "constant"},
                           {"train.clip_norm", "0"},        {"train.steps", "30"},       {"train.nonfinite_limit", "4"},
                           {"train.pairs", "pos:en"}};
  const Outcome outcome = run(2, train_line("wild", options));
  EXPECT_EQ(outcome.code, 65) << outcome.errors;
  EXPECT_EQ(own_lines(outcome.errors).size(), 1U) << outcome.errors;
  EXPECT_THAT(outcome.errors, HasSubstr("diverged"));
  EXPECT_THAT(outcome.errors, HasSubstr("4 times in a row"));
  EXPECT_THAT(outcome.errors, HasSubstr("pos:en"));
  const std::vector<nlohmann::json> done = steps("wild");
  size_t skipped = 0;
  for (const auto& step : done) skipped += step.contains("skipped") ? 1 : 0;
  EXPECT_EQ(skipped, 4U);
  EXPECT_TRUE(done.back().at("grad_norm").is_null());
  const nlohmann::json end = state("wild");
  EXPECT_EQ(end.at("state"), "failed");
  EXPECT_THAT(end.dump(), HasSubstr("pos:en"));
  EXPECT_EQ(end.at("failure").at("step"), done.back().at("step"));
  EXPECT_EQ(end.at("failure").at("section"), "step");
  EXPECT_EQ(end.at("failure").at("rank"), 0) << "all ranks failed";
  EXPECT_FALSE(std::filesystem::exists(checkpoint("wild", done.back().at("step"))));
}

}  // namespace
}  // namespace hyperx::testing_system

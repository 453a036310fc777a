// The training loop, on ranks that are threads: what it saves, skips, stops for, and goes on from.
#include "trainer/trainer.h"

#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <limits>

#include "common/files.h"
#include "tests/support/watched_communicator.h"
#include "tests/trainer/tiny_training.h"

namespace hyperx::train {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class TrainerTest : public testing::Test {
 protected:
  static const TinyData& data() {
    static const TinyData data;
    return data;
  }

  RunDir run_dir(const std::string& name) const { return {folder_.path(name)}; }

  ExitCode train(const std::string& name, const Config& config, Start start = {}) {
    failed_ranks_ = 0;
    start.on_failure = [&] { ++failed_ranks_; };
    return train_run(data(), config, run_dir(name).path, start);
  }

  // The error that ends a run.
  template <class Error>
  std::string error_of(const std::string& name, const Config& config, const Start& start = {}) {
    try {
      train(name, config, start);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  // Lines of metrics.jsonl with this event, without their seconds.
  std::vector<json> events(const std::string& name, const std::string& event) const {
    std::ifstream lines(run_dir(name).metrics());
    std::vector<json> events;
    for (std::string line; std::getline(lines, line);) {
      json object = json::parse(line);
      object.erase("seconds");
      if (object.at("event") == event) events.push_back(std::move(object));
    }
    return events;
  }
  std::string checkpoint(const std::string& name, int64_t step) const {
    return run_dir(name).checkpoints() + "/" + checkpoint_name(step);
  }
  std::vector<std::string> checkpoints(const std::string& name) const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(run_dir(name).checkpoints()))
      if (entry.is_directory()) names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }
  std::string link(const std::string& name, const char* which) const {
    std::string text = read_file(run_dir(name).checkpoints() + "/" + which);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }
  void expect_same_checkpoint(const std::string& a, const std::string& b, int64_t step) const {
    for (const char* file : {kModelFile, kOptimizerFile})
      EXPECT_TRUE(read_file(checkpoint(a, step) + "/" + file) == read_file(checkpoint(b, step) + "/" + file))
          << file << " of " << a << " and " << b;
  }

  std::atomic<int> failed_ranks_ = 0;
  data::test::TemporaryFolder folder_;
  Config config_ = tiny_training_config();
};

// Rank 0 gets a signal before it sends its gradient of step `step`, so that all ranks see it at the end of that step.
Start stopped_in(int64_t step, Start start = {.ranks = 2}) {
  start.hook = [step](int rank, const comm::SeenCall& call) {
    if (rank == 0 && call.kind == "all_reduce" && call.number == step) std::raise(SIGTERM);
  };
  return start;
}

// Every gradient of the task is not a number.
void spoil_head(model::Model& model, const std::string& task) {
  const at::NoGradGuard no_gradient;
  model.parameters().at("heads." + task + ".weight").value.fill_(std::numeric_limits<double>::quiet_NaN());
}

TEST_F(TrainerTest, RunsToTheEndAndSavesThere) {
  EXPECT_EQ(train("run", config_, {.ranks = 2}), ExitCode::kDone);
  const auto steps = events("run", "step");
  ASSERT_EQ(steps.size(), 12U);
  EXPECT_EQ(steps.back().at("step"), 12);
  EXPECT_EQ(steps[0].at("learning_rate"), 0) << "warm-up";
  EXPECT_GT(steps[0].at("bytes_sent"), 0);
  EXPECT_THAT(checkpoints("run"), ElementsAre(checkpoint_name(12)));
  EXPECT_EQ(link("run", "latest"), checkpoint_name(12));
  const RunState state = read_run_state(run_dir("run"));
  EXPECT_EQ(state.state, "finished");
  EXPECT_EQ(state.step, 12);
  EXPECT_EQ(state.world_size, 2);
  EXPECT_EQ(state.checkpoint, checkpoint_name(12));
  EXPECT_EQ(Checkpoint::open(checkpoint("run", 12)).manifest().all.at("world_size"), 2);
}

TEST_F(TrainerTest, StepsAreThoseOfOneRank) {
  config_.train.pairs_per_step = 2;
  train("one", config_);
  train("three", config_, {.ranks = 3});
  const auto one = events("one", "step"), three = events("three", "step");
  ASSERT_EQ(one.size(), three.size());
  for (size_t i = 0; i < one.size(); ++i) {
    for (const char* key : {"pair", "sentences", "tokens", "labelled", "learning_rate"})
      EXPECT_EQ(one[i].at(key), three[i].at(key)) << key;
    for (const char* key : {"loss", "grad_norm"})
      EXPECT_NEAR(one[i].at(key).get<double>(), three[i].at(key).get<double>(), 1e-11) << key;
    EXPECT_EQ(one[i].at("bytes_sent"), 0);
    EXPECT_GT(three[i].at("spread"), 0.05) << "of each rank's words about their own mean";
    EXPECT_LT(one[i].at("spread"), 1);
  }
}

TEST_F(TrainerTest, AFinishedRunHasNothingToDo) {
  train("run", config_);
  EXPECT_EQ(train("run", config_, {.resume = true}), ExitCode::kDone);
  EXPECT_EQ(events("run", "step").size(), 12U);
  EXPECT_EQ(events("run", "checkpoint").size(), 1U);
}

TEST_F(TrainerTest, KeepsTheNewestCheckpoints) {
  config_.checkpoint.every = 3;
  train("run", config_);
  EXPECT_THAT(checkpoints("run"), ElementsAre(checkpoint_name(9), checkpoint_name(12)));
  EXPECT_EQ(events("run", "checkpoint").size(), 4U);
}

TEST_F(TrainerTest, StepsWhoseGradientIsNotFiniteAreSkippedAndCounted) {
  const Start spoilt{.ranks = 2, .change = [](model::Model& model) { spoil_head(model, "ner"); }};
  config_.train.steps = 16;
  EXPECT_EQ(train("run", config_, spoilt), ExitCode::kDone);
  int64_t skipped = 0;
  for (const json& step : events("run", "step")) {
    const bool is_ner = step.at("pair") == "ner:aa";
    EXPECT_EQ(step.value("skipped", false), is_ner) << step;
    EXPECT_EQ(step.at("grad_norm").is_null(), is_ner);
    skipped += is_ner ? 1 : 0;
  }
  ASSERT_GT(skipped, 1);
  ASSERT_LT(skipped, 12);
  const Checkpoint saved = Checkpoint::open(checkpoint("run", 16));
  const TrainingState state = TrainingState::from_json(saved.train_state(), "run");
  EXPECT_EQ(state.step, 16);
  EXPECT_EQ(state.skipped_steps, skipped);
  const std::map<std::string, int64_t> counts(state.update_counts.begin(), state.update_counts.end());
  EXPECT_EQ(counts.at("hypernetwork"), 16 - skipped);
  EXPECT_EQ(counts.at("heads.ner.weight"), 0);
  for (const auto& tensor : saved.model_tensors()) {
    const std::vector<char> bytes = saved.read_model_tensor(tensor.name);
    const auto* const values = reinterpret_cast<const double*>(bytes.data());
    EXPECT_EQ(std::isnan(values[0]), tensor.name == "heads.ner.weight") << tensor.name;
  }
}

TEST_F(TrainerTest, SkippedStepsInARowEndTheRun) {
  config_.train.pairs = "ner:aa";
  config_.train.nonfinite_limit = 3;
  const Start spoilt{.ranks = 2, .change = [](model::Model& model) { spoil_head(model, "ner"); }};
  EXPECT_THAT(error_of<UserError>("run", config_, spoilt),
              AllOf(HasSubstr("not finite 3 times in a row"), HasSubstr("at step 3 with ner:aa"),
                    HasSubstr("begin again in another run.dir with a lower train.learning_rate")));
  EXPECT_EQ(failed_ranks_, 2) << "all ranks, for the same reason";
  EXPECT_EQ(events("run", "step").size(), 3U);
  EXPECT_TRUE(checkpoints("run").empty());
}

// The first update makes weights whose gradients are not finite. With a checkpoint after each step, one has them.
TEST_F(TrainerTest, ADivergedRunKeepsItsLastGoodCheckpointAndGoesOnFromThere) {
  for (const int keep_last : {1, 2}) {
    const std::string run = "run-" + std::to_string(keep_last);
    config_ = tiny_training_config();
    config_.train.schedule = "constant";
    config_.train.warmup_steps = 0;
    config_.train.steps = 6;
    config_.train.nonfinite_limit = 4;
    config_.checkpoint.every = 1;
    config_.checkpoint.keep_last = keep_last;
    EXPECT_EQ(train(run, config_, {.ranks = 2}), ExitCode::kDone);
    EXPECT_EQ(std::ssize(checkpoints(run)), keep_last);
    Config wild = config_;
    wild.train.steps = 40;
    wild.train.learning_rate = 1e200;
    wild.train.clip_norm = 0;
    const std::string error = error_of<UserError>(run, wild, {.ranks = 2, .resume = true});
    EXPECT_THAT(error, AllOf(HasSubstr("4 times in a row, last at step 11"), HasSubstr(checkpoint(run, 6) + ":"),
                             HasSubstr("--resume auto and a lower train.learning_rate")));
    EXPECT_EQ(failed_ranks_, 2) << "all ranks, for the same reason";
    EXPECT_THAT(checkpoints(run), testing::Contains(checkpoint_name(6)));
    EXPECT_THAT(checkpoints(run), testing::Contains(checkpoint_name(7) + ".diverged"));
    EXPECT_EQ(link(run, "latest"), checkpoint_name(6));
    config_.train.steps = 12;
    EXPECT_EQ(train(run, config_, {.ranks = 2, .resume = true}), ExitCode::kDone) << "as the error advises";
    EXPECT_EQ(events(run, "step").size(), 12U);
  }
}

// Neither on the way nor at a stop; the end of a run is saved, but keeps the last good checkpoint.
TEST_F(TrainerTest, NothingIsSavedWhileUpdatesAreSkipped) {
  config_.train.schedule = "constant";
  config_.train.warmup_steps = 0;
  config_.train.steps = 6;
  config_.train.nonfinite_limit = 100;
  config_.checkpoint.keep_last = 1;
  EXPECT_EQ(train("run", config_), ExitCode::kDone);
  Config wild = config_;
  wild.train.steps = 14;
  wild.train.learning_rate = 1e200;
  wild.train.clip_norm = 0;
  wild.checkpoint.every = 4;
  EXPECT_EQ(train("run", wild, stopped_in(3, {.ranks = 2, .resume = true})), ExitCode::kSavedRunAgain);
  EXPECT_EQ(read_run_state(run_dir("run")).step, 9);
  EXPECT_THAT(checkpoints("run"), ElementsAre(checkpoint_name(6)));
  testing::internal::CaptureStderr();
  EXPECT_EQ(train("run", wild, {.resume = true}), ExitCode::kDone);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("the newest one of a step before 7 is kept"));
  EXPECT_THAT(checkpoints("run"), ElementsAre(checkpoint_name(6), checkpoint_name(14)));
  // the end is not usable: found out at the next start, which names the one that is
  wild.train.steps = 40;
  wild.train.nonfinite_limit = 10;
  EXPECT_THAT(error_of<UserError>("run", wild, {.resume = true}), HasSubstr(checkpoint("run", 6) + ":"));
  EXPECT_THAT(checkpoints("run"), ElementsAre(checkpoint_name(6), checkpoint_name(14) + ".diverged"));
}

// Finite steps in between set the count back.
TEST_F(TrainerTest, OnlySkippedStepsInARowEndTheRun) {
  config_.train.pairs = "ner:aa,pos:aa";
  config_.train.steps = 20;
  int in_a_row = 0, longest = 0, all = 0;
  train("plain", config_);
  for (const json& step : events("plain", "step")) {
    in_a_row = step.at("pair") == "ner:aa" ? in_a_row + 1 : 0;
    longest = std::max(longest, in_a_row);
    all += step.at("pair") == "ner:aa" ? 1 : 0;
  }
  config_.train.nonfinite_limit = longest + 1;
  ASSERT_GT(all, config_.train.nonfinite_limit);
  const Start spoilt{.change = [](model::Model& model) { spoil_head(model, "ner"); }};
  EXPECT_EQ(train("run", config_, spoilt), ExitCode::kDone);
}

TEST_F(TrainerTest, AStoppedRunGoesOnBitForBit) {
  for (const char* generator : {"replicated", "sharded"}) {
    const std::string whole = std::string("whole-") + generator, stopped = std::string("stopped-") + generator;
    config_.parallel.generator = generator;
    train(whole, config_, {.ranks = 2});
    // Where the rows are shared out, a step has a second sum.
    const int64_t sums = config_.parallel.generator == "sharded" ? 9 : 5;
    EXPECT_EQ(train(stopped, config_, stopped_in(sums)), ExitCode::kSavedRunAgain);
    EXPECT_EQ(read_run_state(run_dir(stopped)).state, "saved");
    EXPECT_EQ(read_run_state(run_dir(stopped)).step, 5);
    EXPECT_THAT(checkpoints(stopped), ElementsAre(checkpoint_name(5)));
    EXPECT_EQ(train(stopped, config_, {.ranks = 2, .resume = true}), ExitCode::kDone);
    EXPECT_EQ(events(whole, "step"), events(stopped, "step"));
    expect_same_checkpoint(whole, stopped, 12);
  }
}

TEST_F(TrainerTest, ARunThatCrashedGoesOnFromItsLastCheckpoint) {
  config_.checkpoint.every = 4;
  train("whole", config_, {.ranks = 2});
  const Start crash{.ranks = 2, .hook = [](int rank, const comm::SeenCall& call) {
                      if (rank == 1) comm::fail_at("all_reduce", 7)(call);
                    }};
  EXPECT_EQ(error_of<SystemError>("crashed", config_, crash), "all_reduce 7 failed on purpose");
  EXPECT_EQ(failed_ranks_, 2);
  EXPECT_EQ(events("crashed", "step").size(), 6U);
  EXPECT_EQ(train("crashed", config_, {.ranks = 2, .resume = true}), ExitCode::kDone);
  EXPECT_EQ(events("whole", "step"), events("crashed", "step")) << "lines of steps that are done again are cut";
  expect_same_checkpoint("whole", "crashed", 12);
}

TEST_F(TrainerTest, TheBestScoreIsSavedAndKept) {
  config_.train.steps = 20;
  config_.train.learning_rate = 3e-2;
  config_.eval.every = 2;
  config_.checkpoint.keep_last = 1;
  EXPECT_EQ(train("run", config_, {.ranks = 2}), ExitCode::kDone);
  std::map<int64_t, std::vector<double>> scores;  // of tagged pairs; a loss chooses nothing
  for (const json& line : events("run", "evaluation"))
    if (line.at("pair") != "mlm:bb")
      scores[line.at("step")].push_back(line.at("metrics").at(line.at("main_metric").get<std::string>()));
  ASSERT_EQ(scores.size(), 10U);
  int64_t best_step = 0, times_best = 0;
  double best = -1;
  for (const auto& [step, of_pairs] : scores) {
    ASSERT_EQ(of_pairs.size(), 3U);
    const double score = (of_pairs[0] + of_pairs[1] + of_pairs[2]) / 3;
    if (score <= best) continue;
    best = score;
    best_step = step;
    ++times_best;
  }
  ASSERT_LT(best_step, 20) << "the last is saved anyway";
  EXPECT_EQ(link("run", "best"), checkpoint_name(best_step));
  EXPECT_DOUBLE_EQ(*read_run_state(run_dir("run")).best_score, best);
  EXPECT_DOUBLE_EQ(*read_manifest(checkpoint("run", best_step)).score, best);
  EXPECT_EQ(std::ssize(events("run", "checkpoint")), times_best + 1) << "each new best, and the last step";
}

TEST_F(TrainerTest, NoBestIsKeptWhereNoneIsAskedFor) {
  config_.eval.every = 2;
  config_.checkpoint.keep_best = 0;
  train("run", config_);
  EXPECT_THAT(checkpoints("run"), ElementsAre(checkpoint_name(12)));
  EXPECT_EQ(events("run", "evaluation").size(), 6U * 4U);
}

TEST_F(TrainerTest, ASelectionDecidesTheBest) {
  config_.eval.every = 12;
  config_.checkpoint.select = "pos:bb";
  train("run", config_);
  const std::vector<json> lines = events("run", "evaluation");
  const auto selected = std::ranges::find(lines, "pos:bb", [](const json& line) { return line.at("pair"); });
  ASSERT_NE(selected, lines.end());
  EXPECT_DOUBLE_EQ(*read_run_state(run_dir("run")).best_score, selected->at("metrics").at("accuracy").get<double>());
  config_.eval.pairs = "pos:aa";
  EXPECT_THAT(error_of<UserError>("other", config_), AllOf(HasSubstr("checkpoint.select"), HasSubstr("pos:bb")));
}

// A signal at a step of eval.every saves at once; the evaluation is made up for at the next start.
TEST_F(TrainerTest, AStopLeavesTheEvaluationToTheNextStart) {
  config_.eval.every = 3;
  train("whole", config_, {.ranks = 2});
  // The evaluation of the masked pair is a sum, too.
  EXPECT_EQ(train("stopped", config_, stopped_in(7)), ExitCode::kSavedRunAgain);
  EXPECT_EQ(read_run_state(run_dir("stopped")).step, 6);
  EXPECT_EQ(events("stopped", "evaluation").size(), 4U) << "those of step 3";
  EXPECT_EQ(train("stopped", config_, {.ranks = 2, .resume = true}), ExitCode::kDone);
  EXPECT_EQ(events("whole", "evaluation"), events("stopped", "evaluation"));
  EXPECT_EQ(read_run_state(run_dir("whole")).best_score, read_run_state(run_dir("stopped")).best_score);
  EXPECT_EQ(link("whole", "best"), link("stopped", "best"));
}

// Lines of metrics that a crash or a disk lost are named at the resume, and the checkpoint knows what was there.
TEST_F(TrainerTest, AResumeTellsWhichMetricsAreLost) {
  EXPECT_EQ(train("run", config_), ExitCode::kDone);
  const std::string file = run_dir("run").metrics(), whole = read_file(file);
  const auto warnings = [&](const std::string& text) {
    write_file_atomically(file, text);
    testing::internal::CaptureStderr();
    EXPECT_EQ(train("run", config_, {.resume = true}), ExitCode::kDone);
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_THAT(warnings(whole), testing::Not(HasSubstr("warning")));
  std::string less = whole;
  const size_t line = less.find("{\"bytes_sent\"", less.find("\"step\":4,"));
  less.erase(line, less.find('\n', line) + 1 - line);
  EXPECT_THAT(warnings(less), HasSubstr(file + ": the lines of these steps are missing: 5; steps up to 12 are not"));
  EXPECT_THAT(warnings(""), HasSubstr("missing: 1-12"));
  std::string other = whole;
  other.replace(other.find("\"loss\":") + 7, 1, "9");
  EXPECT_THAT(warnings(other), HasSubstr("some were changed or lost"));
}

TEST_F(TrainerTest, OtherSettingsOrAnotherPlaceInTheDataAreRefused) {
  EXPECT_EQ(train("run", config_, stopped_in(5)), ExitCode::kSavedRunAgain);
  Config other = config_;
  other.train.batch_sentences = 9;
  EXPECT_THAT(error_of<UserError>("run", other, {.resume = true}), HasSubstr("train.batch_sentences is 9"));
  EXPECT_THAT(error_of<UserError>("run", config_), HasSubstr("--resume auto")) << "a run is not overwritten";
}

TEST_F(TrainerTest, AWarmUpBeyondTheLastStepIsRefused) {
  config_.train.epochs = 1;
  config_.train.warmup_steps = 4000;
  EXPECT_THAT(error_of<UserError>("run", config_), HasSubstr("train.warmup_steps = 4000"));
}

}  // namespace
}  // namespace hyperx::train

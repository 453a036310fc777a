// A run that is killed or stopped at any moment, and started again by the same line, ends as if nothing had been.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <map>
#include <random>
#include <thread>

#include "common/files.h"
#include "tests/system/workplace.h"
#include "trainer/checkpoint/checkpoint.h"

namespace hyperx::testing_system {
namespace {

namespace fs = std::filesystem;

constexpr int kSteps = 120, kEvery = 5, kKills = 20;
const Options kRun = {{"train.steps", std::to_string(kSteps)},
                      {"checkpoint.every", std::to_string(kEvery)},
                      {"eval.every", "20"},
                      {"eval.limit", "20"},
                      {"eval.pairs", "pos:en,ner:en"}};

class ResumeTest : public SystemTest {
 protected:
  Arguments line(const std::string& name) const {
    Arguments arguments = train_line(name, kRun);
    arguments.insert(arguments.end(), {"--resume", "auto"});
    return arguments;
  }

  // Bytes written so far, or 0.
  uintmax_t metrics_bytes(const std::string& name) const {
    std::error_code missing;
    const uintmax_t size = fs::file_size(path(name) + "/metrics.jsonl", missing);
    return missing ? 0 : size;
  }

  int64_t last_checkpoint(const std::string& name) const {
    for (int64_t step = kSteps; step > 0; step -= kEvery)
      if (fs::exists(checkpoint(name, step) + "/manifest.json")) return step;
    return 0;
  }

  size_t half_written(const std::string& name) const {
    size_t count = 0;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(path(name) + "/checkpoints", none))
      count += entry.path().extension() == ".tmp" ? 1 : 0;
    return count;
  }

  // Waits until the run writes lines of metrics (after those it cuts off at its start), then `more` bytes of them.
  bool wait_for_metrics(Job& job, const std::string& name, uintmax_t more) {
    const uintmax_t before = metrics_bytes(name);
    uintmax_t least = before;
    return job.wait_until([&] {
      const uintmax_t now = metrics_bytes(name);
      least = std::min(least, now);
      return now > least + more;
    });
  }

  void expect_equal_end(const std::string& whole, const std::string& other) {
    EXPECT_EQ(state(other).at("state"), "finished");
    for (const char* file : {"model.h5", "optimizer.h5"})
      EXPECT_TRUE(checkpoint_file(whole, kSteps, file) == checkpoint_file(other, kSteps, file)) << file << " differs";
    const auto expected = history(whole), found = history(other);
    ASSERT_EQ(expected.size(), found.size());
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(expected[i].dump(), found[i].dump());
    EXPECT_EQ(half_written(other), 0U);
  }
};

TEST_F(ResumeTest, KilledAtTwentyMoments) {
  train(2, "whole", kRun);
  const auto seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  const auto draw = [&](int most) { return static_cast<int>(random() % static_cast<unsigned>(most + 1)); };
  const uintmax_t line_bytes = metrics_bytes("whole") / kSteps;
  size_t in_writing = 0;
  for (int kills = 0; kills < kKills; ++kills) {
    Job job(2, line("killed"), path(""));
    const int64_t resumed_at = last_checkpoint("killed");
    const bool may_go_on = resumed_at + 2 * kEvery < kSteps;
    const int moment = may_go_on ? kills % 4 : 0;
    bool alive = true;
    if (moment == 0) std::this_thread::sleep_for(std::chrono::milliseconds(draw(400)));
    if (moment == 1 || moment == 3)
      alive = wait_for_metrics(job, "killed", line_bytes * static_cast<unsigned>(draw(7)));
    if (moment == 2) alive = job.wait_until([&] { return half_written("killed") > 0; });
    std::this_thread::sleep_for(std::chrono::microseconds(draw(moment == 2 ? 3000 : 30000)));
    alive = alive && job.running();
    job.kill_all();
    ASSERT_TRUE(alive) << "the run ended before kill " << kills << " at moment " << moment << ": " << job.wait().errors;
    in_writing += half_written("killed");
  }
  const int64_t left_at = last_checkpoint("killed");
  EXPECT_LT(left_at, kSteps);
  std::printf("%d kills, %zu of them within a checkpoint; the last checkpoint then is of step %d\n", kKills, in_writing,
              static_cast<int>(left_at));
  EXPECT_GT(in_writing, 0U);
  const Outcome end = run(2, line("killed"));
  ASSERT_EQ(end.code, 0) << end.errors;
  expect_equal_end("whole", "killed");
}

TEST_F(ResumeTest, OneRankKilled) {
  train(2, "whole", kRun);
  Job job(2, line("maimed"), path(""));
  ASSERT_TRUE(wait_for_metrics(job, "maimed", 4000));
  const std::vector<pid_t> ranks = job.ranks();
  ASSERT_EQ(ranks.size(), 2U);
  kill(ranks[1], SIGKILL);
  const auto killed = Clock::now();
  EXPECT_NE(job.wait().code, 0);
  EXPECT_LT(std::chrono::duration<double>(Clock::now() - killed).count(), 30);
  const Outcome end = run(2, line("maimed"));
  ASSERT_EQ(end.code, 0) << end.errors;
  expect_equal_end("whole", "maimed");
}

class SignalTest : public ResumeTest {
 protected:
  void stop_and_go_on(int signal, const std::string& name, int code) {
    train(2, "whole", kRun);
    Job job(2, line("stopped"), path(""));
    ASSERT_TRUE(wait_for_metrics(job, "stopped", 1500));
    job.send(signal);
    const Outcome stopped = job.wait();
    std::printf("%s to mpirun: code %d\n", name.c_str(), stopped.code);
    EXPECT_EQ(stopped.code, code) << stopped.errors;
    const nlohmann::json saved = state("stopped");
    EXPECT_EQ(saved.at("state"), "saved");
    const int64_t step = saved.at("step");
    EXPECT_GT(step, 0);
    EXPECT_LT(step, kSteps);
    EXPECT_TRUE(fs::exists(checkpoint("stopped", step) + "/manifest.json"));
    EXPECT_NE(stopped.errors.find("stopped by " + name + " at step " + std::to_string(step)), std::string::npos)
        << stopped.errors;
    const Outcome status = run(0, {"status", path("stopped")});
    EXPECT_EQ(status.code, 0);
    EXPECT_NE(status.output.find("saved"), std::string::npos) << status.output;
    const Outcome end = run(2, line("stopped"));
    ASSERT_EQ(end.code, 0) << end.errors;
    EXPECT_NE(log("stopped").find("at step " + std::to_string(step)), std::string::npos);
    expect_equal_end("whole", "stopped");
  }
};

TEST_F(SignalTest, Usr1ToMpirun) { stop_and_go_on(SIGUSR1, "SIGUSR1", 75); }

// Open MPI's mpirun answers SIGTERM by ending its ranks within two seconds, and its code is always 1: what the last
// checkpoint holds is kept, and the same line goes on. (launch/run turns SIGTERM into SIGUSR1, which saves.)
TEST_F(SignalTest, TermToMpirun) {
  Options longer = kRun;
  longer["train.steps"] = "2000";
  Arguments line = train_line("stopped", longer);
  line.insert(line.end(), {"--resume", "auto"});
  Job job(2, line, path(""));
  ASSERT_TRUE(job.wait_until([&] { return last_checkpoint("stopped") > 0; }));
  job.send(SIGTERM);
  EXPECT_EQ(job.wait().code, 1);
  const int64_t saved = train::Checkpoint::open(train::resolve_checkpoint(path("stopped"))).step();
  EXPECT_GT(saved, 0);
  longer["train.steps"] = std::to_string(saved + kEvery);
  train(2, "stopped", longer, {"--resume", "auto"});
  EXPECT_NE(log("stopped").find("resumed from"), std::string::npos);
}

// Each step is one of eval.every, so that the signal comes at one: saved at once, evaluated when the run goes on.
TEST_F(SignalTest, AnEvaluationLeftOutIsMadeUpFor) {
  Options options = kRun;
  options["eval.every"] = "1";
  options["train.steps"] = "12";
  Arguments line = train_line("stopped", options);
  line.insert(line.end(), {"--resume", "auto"});
  Job job(0, line, path(""));
  ASSERT_TRUE(wait_for_metrics(job, "stopped", 2000));
  job.send(SIGTERM);
  ASSERT_EQ(job.wait().code, 75);
  const int64_t step = state("stopped").at("step");
  ASSERT_LT(step, 12);
  const auto evaluated = [&] {
    std::vector<int64_t> found;
    for (const nlohmann::json& event : history("stopped"))
      if (event.at("event") == "evaluation" && event.at("pair") == "pos:en") found.push_back(event.at("step"));
    return found;
  };
  ASSERT_EQ(std::ssize(evaluated()), step - 1);
  ASSERT_EQ(run(0, line).code, 0);
  const std::vector<int64_t> found = evaluated();
  ASSERT_EQ(found.size(), 12U);
  for (int64_t i = 0; i < 12; ++i) EXPECT_EQ(found[static_cast<size_t>(i)], i + 1);
}

// The default warm-up is decided when the run begins: 4 % of its steps.
TEST_F(SignalTest, RaisingTheStepsLeavesTheWarmUp) {
  Options options = {{"train.steps", "50"}, {"train.warmup_steps", "-1"}, {"train.pairs", "pos:en"}};
  const auto warmup = [&] {
    const std::string config = read_file(path("run") + "/config.conf"), key = "\ntrain.warmup_steps = ";
    const size_t at = config.find(key);
    return at == std::string::npos ? -1 : std::stoi(config.substr(at + key.size()));
  };
  train(0, "run", options);
  EXPECT_EQ(warmup(), 2);
  options["train.steps"] = "100";
  train(0, "run", options, {"--resume", "auto"});
  EXPECT_EQ(warmup(), 2);
}

// The best of all evaluations is kept, whether or not checkpoint.every falls on its step.
TEST_F(SignalTest, TheBestIsSavedWhereverItIs) {
  train(2, "run", {{"eval.every", "3"}, {"eval.limit", "20"}, {"checkpoint.every", "5"}, {"train.steps", "11"}});
  const nlohmann::json end = state("run");
  EXPECT_EQ(end.at("checkpoint"), train::checkpoint_name(11));
  double best = -1;
  int64_t best_step = 0;
  std::map<int64_t, std::pair<double, int>> sums;
  for (const nlohmann::json& event : history("run")) {
    if (event.at("event") != "evaluation" || event.at("pair") == "mlm:en") continue;
    auto& [sum, count] = sums[event.at("step")];
    sum += event.at("metrics").at(event.at("main_metric")).get<double>();
    ++count;
  }
  for (const auto& [step, score] : sums)
    if (score.first / score.second > best) {
      best = score.first / score.second;
      best_step = step;
    }
  EXPECT_NEAR(end.at("best_score").get<double>(), best, 1e-12);
  EXPECT_EQ(read_file(path("run") + "/checkpoints/best"), train::checkpoint_name(best_step) + "\n");
}

TEST_F(SignalTest, AProcessAloneStopsToo) {
  Job job(0, line("alone"), path(""));
  ASSERT_TRUE(wait_for_metrics(job, "alone", 500));
  job.send(SIGTERM);
  EXPECT_EQ(job.wait().code, 75);
  EXPECT_EQ(state("alone").at("state"), "saved");
}

}  // namespace
}  // namespace hyperx::testing_system

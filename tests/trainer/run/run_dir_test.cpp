#include "trainer/run/run_dir.h"

#include <gmock/gmock.h>

#include "common/errors.h"
#include "common/files.h"
#include "tests/support/errors.h"
#include "tests/trainer/checkpoint/checkpoint_sample.h"
#include "tests/trainer/run/ended_process.h"
#include "trainer/run/metrics_file.h"
#include "trainer/run/run_state.h"
#include "trainer/run/start_over.h"

namespace hyperx::train {
namespace {

using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

class RunFolder : public FolderTest {
 protected:
  template <class Run>
  static std::string refused(Run&& run) {
    return test::message_of(ExitCode::kCannotCreate, run);
  }
};

TEST_F(RunFolder, RefusesAFolderThatHoldsARun) {
  const RunDir run = open_run_dir(path("a/run//"), false);
  EXPECT_EQ(run.path, path("a/run"));
  open_run_dir(run.path, false);  // still empty
  write_file_atomically(run.log(), "of the batch system\n");
  open_run_dir(run.path, false);  // no run
  RunState state;
  state.state = "saved";
  state.step = 12;
  state.steps = 100;
  write_run_state(run, state);
  open_run_dir(run.path, false);  // a run that ended before its first step
  write_file_atomically(run.metrics(), "");
  EXPECT_THAT(refused([&] { open_run_dir(run.path, false); }),
              AllOf(HasSubstr(run.path), HasSubstr("saved, step 12 of 100"), HasSubstr("--resume auto")));
  open_run_dir(run.path, true);
  write_file_atomically(path("file"), "");
  EXPECT_THAT(refused([&] { open_run_dir(path("file"), true); }), HasSubstr("is a file"));
  EXPECT_THAT(refused([&] { open_run_dir(path("file/run"), true); }), HasSubstr("cannot be made"));
}

TEST_F(RunFolder, APathThatCannotBeIsNamedWithItsSetting) {
  fs::create_symlink("itself", path("itself"));
  fs::create_symlink("nowhere/at/all", path("dangling"));
  const std::string long_name(300, 'n');
  std::string deep = path("deep");
  while (deep.size() < 4050) deep += "/" + std::string(100, 'd');
  for (const std::string& bad :
       {path(std::string(5000, 'x')), path(long_name), path("itself"), path("itself/run"), deep}) {
    const std::string told = refused([&] { open_run_dir(bad, true); });
    EXPECT_THAT(told, AllOf(HasSubstr("run.dir "), HasSubstr(bad.substr(0, 100)), HasSubstr("name another folder")));
    EXPECT_LT(told.size(), 600U);
  }
  refused([&] { open_run_dir(path("dangling"), false); });
}

TEST_F(RunFolder, StateComesBackAndLostIsTold) {
  const RunDir run = open_run_dir(path("run"), false);
  RunState state;
  state.state = "running";
  state.step = 12300;
  state.steps = 100000;
  state.world_size = 4;
  state.started = "2026-01-02T03:04:05Z";
  state.checkpoint = "step-0010000";
  state.best_score = 0.75;
  for (const bool sync : {true, false}) {
    write_run_state(run, state, sync);
    const RunState got = read_run_state(run);
    EXPECT_EQ(got.state, "running");
    EXPECT_EQ(got.step, 12300);
    EXPECT_EQ(got.steps, 100000);
    EXPECT_EQ(got.world_size, 4);
    EXPECT_EQ(got.started, state.started);
    EXPECT_EQ(got.checkpoint, state.checkpoint);
    EXPECT_EQ(got.best_score, 0.75);
    EXPECT_FALSE(got.failure.has_value());
    EXPECT_LT(age_seconds(got.heartbeat), 5);
    EXPECT_GE(age_seconds(got.heartbeat), 0);
    EXPECT_EQ(observed_state(run, got), "running");
  }
  state.process = ended_process();
  EXPECT_EQ(observed_state(run, state), "lost");
  state.process.host = "another-host";
  state.heartbeat = utc_time();
  EXPECT_EQ(observed_state(run, state), "running");
  state.heartbeat = "2020-01-01T00:00:00Z";
  EXPECT_EQ(observed_state(run, state), "lost");
  write_file_atomically(run.lock(), "");  // touched now: its process lives, in a long step
  EXPECT_EQ(observed_state(run, state), "running");
  EXPECT_LT(silent_seconds(run, state), 60);
  fs::remove(run.lock());
  state.state = "finished";
  EXPECT_EQ(observed_state(run, state), "finished");
  state.state = "queued";
  EXPECT_EQ(observed_state(run, state), "lost");

  state.state = "failed";
  state.failure = RunFailure{3, "node7", 17, "evaluation", "bad \xff byte"};  // not UTF-8: told all the same
  write_run_state(run, state);
  const RunState got = read_run_state(run);
  ASSERT_TRUE(got.failure.has_value());
  EXPECT_EQ(got.failure->rank, 3);
  EXPECT_EQ(got.failure->host, "node7");
  EXPECT_EQ(got.failure->step, 17);
  EXPECT_EQ(got.failure->section, "evaluation");
  EXPECT_THAT(got.failure->reason, HasSubstr("byte"));
}

TEST_F(RunFolder, CoresAreThoseOfTheMask) {
  cpu_set_t before, one;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  CPU_ZERO(&one);
  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  CPU_SET(first, &one);
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(cores_of_process(), std::to_string(first));
  ASSERT_EQ(::sched_setaffinity(0, sizeof before, &before), 0);
  if (CPU_COUNT(&before) == 2 && CPU_ISSET(first + 1, &before)) {
    EXPECT_EQ(cores_of_process(), std::to_string(first) + "-" + std::to_string(first + 1));
  }
}

TEST_F(RunFolder, DescriptionHoldsEveryStart) {
  const RunDir run = open_run_dir(path("run"), false);
  ::setenv("NCCL_DEBUG", "WARN", 1);
  ::setenv("SLURM_JOB_NAME", "caf\xe9", 1);
  for (int start = 1; start <= 2; ++start)
    write_run_description(run, describe_environment({"hyperx", "train"}), {{0, 0, "node1", "cuda:0", 42, 8, "0-7"}});
  add_to_start(run, {{"resolved", {{"exchange", "gather"}}}});
  EXPECT_EQ(read_file(run.hosts()),
            "rank\tlocal_rank\thost\tpid\tdevice\tthreads\tcores\n0\t0\tnode1\t42\tcuda:0\t8\t0-7\n");
  const nlohmann::json starts = nlohmann::json::parse(read_file(run.environment()));
  ASSERT_EQ(starts.size(), 2u);
  EXPECT_EQ(starts[1]["variables"]["NCCL_DEBUG"], "WARN");
  EXPECT_EQ(starts[1]["variables"]["SLURM_JOB_NAME"], "caf\xEF\xBF\xBD");
  EXPECT_EQ(starts[1]["command_line"][1], "train");
  EXPECT_EQ(starts[1]["resolved"]["exchange"], "gather");
  EXPECT_FALSE(starts[0].contains("resolved"));
}

TEST_F(RunFolder, AHistoryThatIsDamagedIsKept) {
  const RunDir run = open_run_dir(path("run"), false);
  const auto start = [&] { write_run_description(run, describe_environment({"hyperx"}), {}); };
  for (const char* damaged : {"[{\"time\": \"2026-", "{}"}) {
    write_file_atomically(run.environment(), damaged);
    testing::internal::CaptureStderr();
    start();
    EXPECT_THAT(testing::internal::GetCapturedStderr(), AllOf(HasSubstr("warning"), HasSubstr(run.environment())));
    EXPECT_EQ(nlohmann::json::parse(read_file(run.environment())).size(), 1U);
  }
  EXPECT_EQ(read_file(run.environment() + ".damaged"), "[{\"time\": \"2026-");
  EXPECT_EQ(read_file(run.environment() + ".damaged-2"), "{}");
  start();
  EXPECT_EQ(nlohmann::json::parse(read_file(run.environment())).size(), 2U);
}

TEST_F(RunFolder, MetricsAreCutBackToTheCheckpoint) {
  const std::string file = path("metrics.jsonl");
  {
    MetricsFile metrics(file, 0);
    for (int step = 1; step <= 10; ++step) metrics.write({{"event", "step"}, {"step", step}, {"loss", 1.0 / step}});
    metrics.write({{"event", "evaluation"}, {"step", 10}});
  }
  const std::string whole = read_file(file);
  write_file_atomically(file, whole + "{\"event\":\"step\",\"st");  // killed in the middle of a line
  {
    MetricsFile metrics(file, 10);
    EXPECT_EQ(metrics.lines_cut(), 1);
    EXPECT_EQ(read_file(file), whole);
  }
  MetricsFile metrics(file, 7);
  EXPECT_EQ(metrics.lines_cut(), 4);
  metrics.write({{"event", "step"}, {"step", 8}, {"loss", std::nan("")}});
  std::istringstream lines(read_file(file));
  std::string line;
  int step = 0;
  while (std::getline(lines, line)) EXPECT_EQ(nlohmann::json::parse(line).at("step"), ++step);
  EXPECT_EQ(step, 8);
}

TEST_F(RunFolder, MetricsThatAResumeDoesNotFindAreNamed) {
  const std::string file = path("metrics.jsonl");
  MetricsMark mark;
  {
    MetricsFile metrics(file, 0);
    for (int step = 1; step <= 10; ++step) metrics.write({{"event", "step"}, {"step", step}, {"loss", 1.0 / step}});
    mark = metrics.mark();
    metrics.write({{"event", "checkpoint"}, {"step", 10}});
  }
  const std::string whole = read_file(file);
  EXPECT_EQ(mark.bytes, std::ssize(whole) - std::ssize("{\"event\":\"checkpoint\",\"step\":10}"));
  std::vector<std::string> lines;
  std::istringstream stream(whole);
  for (std::string line; std::getline(stream, line);) lines.push_back(line + "\n");
  const auto problems = [&](const std::vector<std::string>& left) {
    std::string text;
    for (const std::string& line : left) text += line;
    write_file_atomically(file, text);
    std::string found;
    const MetricsFile metrics(file, 10, mark);
    for (const std::string& problem : metrics.problems()) found += problem + ". ";
    return found;
  };
  EXPECT_EQ(problems(lines), "");
  auto damaged = lines;
  for (const int gone : {4, 2, 1}) damaged.erase(damaged.begin() + gone);
  EXPECT_EQ(problems(damaged), "the lines of these steps are missing: 2-3, 5. ");
  EXPECT_EQ(problems({}), "the lines of these steps are missing: 1-10. ");
  damaged = lines;
  damaged.push_back(lines[6]);
  EXPECT_EQ(problems(damaged), "these steps have more than one line: 7. ");
  damaged = lines;
  damaged[3][5] = '\0';
  EXPECT_EQ(problems(damaged), "its damaged lines are removed: 4. the lines of these steps are missing: 4. ");
  EXPECT_THAT(read_file(file + ".damaged"), HasSubstr(damaged[3])) << "the old file is kept";
  damaged = lines;
  damaged[8].replace(damaged[8].find("0.1"), 3, "0.2");
  EXPECT_THAT(problems(damaged), HasSubstr("some were changed or lost"));
  damaged = lines;
  damaged.pop_back();
  damaged.back().pop_back();  // the end of its line is lost, but nothing else
  EXPECT_EQ(problems(damaged), "");
  fs::remove(file);
  EXPECT_EQ(MetricsFile(file, 10, mark).problems().size(), 1U);
  fs::remove(file);
  fs::create_symlink("/proc/self/mem", file);  // a read error
  EXPECT_THAT(test::user_error([&] { MetricsFile(file, 10, mark); }), testing::StartsWith("74 "));
}

TEST_F(RunFolder, StartingOverKeepsWhatWasThere) {
  const RunDir run = open_run_dir(path("run"), false);
  start_over(run);
  EXPECT_EQ(names_in(run.path), "");
  for (const char* text : {"first", "second"}) {
    fs::create_directories(run.checkpoints());
    write_file_atomically(run.checkpoints() + "/latest", text);
    write_file_atomically(run.metrics(), text);
    start_over(run);
  }
  EXPECT_EQ(names_in(run.path), "checkpoints.before checkpoints.before-2 metrics.jsonl.before metrics.jsonl.before-2");
  EXPECT_EQ(read_file(run.checkpoints() + ".before/latest"), "first");
  EXPECT_EQ(read_file(run.metrics() + ".before-2"), "second");
}

TEST_F(RunFolder, MetricsTailGivesRateAndLastEvaluation) {
  const std::string file = path("metrics.jsonl");
  EXPECT_TRUE(read_metrics_tail(file).last_step.is_null());
  MetricsFile metrics(file, 0);
  for (const int step : {1, 2})
    for (const char* pair : {"pos:en", "ner:en"})
      metrics.write({{"event", "evaluation"}, {"step", step}, {"pair", pair}});
  for (int step = 1; step <= 300; ++step)
    metrics.write({{"event", "step"}, {"step", step}, {"tokens", 700}, {"seconds", step <= 200 ? 10.0 : 0.5}});
  const MetricsTail tail = read_metrics_tail(file);
  EXPECT_EQ(tail.last_step.at("step"), 300);
  ASSERT_EQ(tail.last_evaluation.size(), 2U);
  EXPECT_EQ(tail.last_evaluation[0].at("pair"), "pos:en");
  EXPECT_EQ(tail.last_evaluation[1].at("pair"), "ner:en");
  EXPECT_EQ(tail.last_evaluation[1].at("step"), 2);
  EXPECT_DOUBLE_EQ(tail.steps_per_second, 2.0);
  EXPECT_DOUBLE_EQ(tail.tokens_per_second, 1400.0);
}

}  // namespace
}  // namespace hyperx::train

#include "trainer/run/run_dir.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/wait.h>

#include "common/errors.h"
#include "common/files.h"
#include "common/host.h"
#include "tests/trainer/checkpoint/checkpoint_sample.h"
#include "trainer/run/metrics_file.h"
#include "trainer/run/run_state.h"

namespace hyperx::train {
namespace {

using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

class RunFolder : public FolderTest {
 protected:
  template <class Run>
  static std::string refused(Run&& run) {
    try {
      run();
    } catch (const UserError& error) {
      EXPECT_EQ(error.code(), ExitCode::kCannotCreate);
      return error.what();
    }
    return "no UserError";
  }
  // 0: held it; 1: refused; 2: somebody else held it too.
  static int hold_lock(const RunDir& run) {
    try {
      const RunLock lock(run);
      const std::string witness = run.path + "/held";
      const int made = ::open(witness.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0600);
      if (made < 0) return 2;
      ::usleep(20000);
      ::close(made);
      ::unlink(witness.c_str());
      return 0;
    } catch (const UserError&) {
      return 1;
    }
  }
  // Number of a process that has ended.
  static ProcessId dead_process() {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    ::waitpid(child, nullptr, 0);
    return {host_name(), child, 1};
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

TEST_F(RunFolder, LockKeepsASecondOneOutAndGoesWithTheFirst) {
  const RunDir run = open_run_dir(path("run"), false);
  {
    const RunLock lock(run);
    EXPECT_THAT(refused([&] { RunLock second(run); }), HasSubstr("process " + std::to_string(::getpid())));
    EXPECT_TRUE(fs::exists(run.lock()));
  }
  EXPECT_FALSE(fs::exists(run.lock()));
  const RunLock again(run);
}

TEST_F(RunFolder, LockOfADeadProcessIsTakenOver) {
  const RunDir run = open_run_dir(path("run"), false);
  write_file_atomically(run.lock(), dead_process().to_json().dump());
  { const RunLock lock(run); }
  EXPECT_FALSE(fs::exists(run.lock()));
  write_file_atomically(run.lock(), "");  // its maker died between making and writing it
  { const RunLock lock(run); }
  // the number is in use again, by a process that started at another time
  ProcessId reused = ProcessId::self();
  reused.start_ticks -= 1;
  write_file_atomically(run.lock(), reused.to_json().dump());
  { const RunLock lock(run); }
  write_file_atomically(run.lock(), ProcessId{"another-host", 1, 1}.to_json().dump());
  EXPECT_THAT(refused([&] { RunLock lock(run); }), AllOf(HasSubstr("another-host"), HasSubstr("remove " + run.lock())));
  EXPECT_TRUE(fs::exists(run.lock()));
}

// Containers without an init never wait for their orphans.
TEST_F(RunFolder, LockOfAProcessThatNobodyWaitedForIsTakenOver) {
  const RunDir run = open_run_dir(path("run"), false);
  int told[2];
  ASSERT_EQ(::pipe(told), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string owner = ProcessId::self().to_json().dump();
    ::_exit(::write(told[1], owner.data(), owner.size()) < 0 ? 1 : 0);
  }
  ::close(told[1]);
  char owner[512];
  const ssize_t size = ::read(told[0], owner, sizeof owner);
  ::close(told[0]);
  ASSERT_GT(size, 0);
  siginfo_t ended;
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT), 0);
  const std::string text(owner, static_cast<size_t>(size));
  EXPECT_FALSE(ProcessId::from_json(nlohmann::json::parse(text)).alive());
  write_file_atomically(run.lock(), text);
  { const RunLock lock(run); }
  ::waitpid(child, nullptr, 0);
}

// Without a start time to compare, a process that is seen counts as alive.
TEST_F(RunFolder, AProcessThatIsSeenIsAlive) { EXPECT_TRUE((ProcessId{host_name(), 1, 0}).alive()); }

TEST_F(RunFolder, OnlyOneOfManyTakesADeadProcessesLock) {
  const RunDir run = open_run_dir(path("run"), false);
  for (int round = 0; round < 20; ++round) {
    write_file_atomically(run.lock(), dead_process().to_json().dump());
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i) {
      children.push_back(::fork());
      if (children.back() != 0) continue;
      ::_exit(hold_lock(run));
    }
    int winners = 0;
    for (const pid_t child : children) {
      int status = 0;
      ::waitpid(child, &status, 0);
      ASSERT_NE(WEXITSTATUS(status), 2) << "two processes held the lock at once";
      winners += WEXITSTATUS(status) == 0 ? 1 : 0;
    }
    EXPECT_GE(winners, 1);
  }
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
    EXPECT_EQ(observed_state(got), "running");
  }
  state.process = dead_process();
  EXPECT_EQ(observed_state(state), "lost");
  state.process.host = "another-host";
  state.heartbeat = utc_time();
  EXPECT_EQ(observed_state(state), "running");
  state.heartbeat = "2020-01-01T00:00:00Z";
  EXPECT_EQ(observed_state(state), "lost");
  state.state = "finished";
  EXPECT_EQ(observed_state(state), "finished");
  state.state = "queued";
  EXPECT_EQ(observed_state(state), "lost");

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
  for (int start = 1; start <= 2; ++start)
    write_run_description(run, "train.steps = 5\n", describe_environment({"hyperx", "train"}),
                          {{0, 0, "node1", "cuda:0", 42, 8, "0-7"}});
  EXPECT_EQ(read_file(run.config()), "train.steps = 5\n");
  EXPECT_EQ(read_file(run.hosts()),
            "rank\tlocal_rank\thost\tpid\tdevice\tthreads\tcores\n0\t0\tnode1\t42\tcuda:0\t8\t0-7\n");
  const nlohmann::json starts = nlohmann::json::parse(read_file(run.environment()));
  ASSERT_EQ(starts.size(), 2u);
  EXPECT_EQ(starts[1]["variables"]["NCCL_DEBUG"], "WARN");
  EXPECT_EQ(starts[1]["command_line"][1], "train");
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

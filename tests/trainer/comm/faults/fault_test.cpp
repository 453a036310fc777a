// Starts comm_fault_rank under the real mpirun and looks at what a user sees: the text and the exit code, and that the
// job ends by itself, not when the watchdog's long limit has passed. Seconds are not compared: machines may be busy.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <sstream>

#include "common/files.h"
#include "tests/support/folder.h"
#include "tests/support/text.h"

namespace hyperx::comm {
namespace {

using test::count_of;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{110};
constexpr int kLongLimitSeconds = 60;  // of the watchdog, where it must not be what ends the job
constexpr int kShortLimitSeconds = 3;  // where it must

struct Ended {
  std::string output;  // both streams
  int code = -1;       // exit code; -signal
};

class FaultTest : public testing::Test {
 protected:
  // Runs the job; `on_output` sees all output so far with each new piece, and mpirun's process id.
  Ended run(int ranks, const std::string& mode, int step_limit_seconds = kLongLimitSeconds,
            const std::function<void(const std::string&, pid_t)>& on_output = {}) {
    std::vector<std::string> command = {HYPERX_MPIEXEC,
                                        "-np",
                                        std::to_string(ranks),
                                        HYPERX_FAULT_RANK,
                                        mode,
                                        folder_.path(),
                                        std::to_string(step_limit_seconds)};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    const pid_t process = fork();
    if (process == 0) {
      dup2(ends[1], STDOUT_FILENO);
      dup2(ends[1], STDERR_FILENO);
      std::vector<char*> arguments;
      for (std::string& word : command) arguments.push_back(word.data());
      arguments.push_back(nullptr);
      execv(arguments[0], arguments.data());
      _exit(127);
    }
    close(ends[1]);
    Ended ended;
    read_all(ends[0], process, ended.output, on_output);
    close(ends[0]);
    int status = 0;
    waitpid(process, &status, 0);
    ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    if (step_limit_seconds == kLongLimitSeconds) {
      EXPECT_THAT(ended.output, Not(HasSubstr("no progress in section")));
    }
    return ended;
  }

  test::TemporaryFolder folder_;

 private:
  static void read_all(int input, pid_t process, std::string& output,
                       const std::function<void(const std::string&, pid_t)>& on_output) {
    const auto end = Clock::now() + kPatience;
    char buffer[4096];
    while (true) {
      if (Clock::now() > end) {
        ADD_FAILURE() << "no end after " << kPatience.count() << " s: " << output;
        kill(process, SIGTERM);
        return;
      }
      pollfd ready{input, POLLIN, 0};
      if (poll(&ready, 1, 100) <= 0) continue;
      const ssize_t length = read(input, buffer, sizeof buffer);
      if (length <= 0) return;
      output.append(buffer, length);
      if (on_output) on_output(output, process);
    }
  }
};

TEST_F(FaultTest, AnExceptionNamesRankSectionStepAndReason) {
  const Ended ended = run(3, "throw");
  EXPECT_EQ(ended.code, 70);
  EXPECT_EQ(count_of(ended.output, "fault_rank: rank 2 on host "), 1U) << ended.output;
  EXPECT_THAT(ended.output,
              HasSubstr("failed in section step at step 7: a bug, please report it with the command line: an index is "
                        "out of range"));
  EXPECT_THAT(read_file(folder_.path("failure-2")), AllOf(HasSubstr("2|"), HasSubstr("|step|7|70|")));
}

TEST_F(FaultTest, ASystemErrorKeepsItsCode) {
  const Ended ended = run(2, "system-error");
  EXPECT_EQ(ended.code, 74);
  EXPECT_THAT(ended.output, HasSubstr("failed in section step at step 7: H5Dwrite failed: no space left"));
}

TEST_F(FaultTest, AUserErrorOfAllRanksIsPrintedOnce) {
  const Ended ended = run(3, "user-error-all");
  EXPECT_EQ(ended.code, 78);
  EXPECT_EQ(count_of(ended.output, "fault_rank: train.steps=-1: must be at least 0\n"), 1U) << ended.output;
  EXPECT_THAT(ended.output, Not(HasSubstr("MPI_ABORT")));
  EXPECT_TRUE(std::filesystem::exists(folder_.path("failure-0")));
  EXPECT_FALSE(std::filesystem::exists(folder_.path("failure-1")));
}

TEST_F(FaultTest, DifferentUserErrorsAreAllPrinted) {
  const Ended ended = run(2, "user-error-each");
  EXPECT_EQ(ended.code, 65);
  for (const char* text : {"rank 0 on host ", "file 0 is bad", "rank 1 on host ", "file 1 is bad"}) {
    EXPECT_EQ(count_of(ended.output, text), 1U) << text << ": " << ended.output;
  }
}

TEST_F(FaultTest, AUserErrorOfOneRankEndsAll) {
  const Ended ended = run(3, "user-error-one");
  EXPECT_EQ(ended.code, 65);
  EXPECT_EQ(count_of(ended.output, "failed in section step at step 7: corpus/en.h5: the digest does not hold"), 1U)
      << ended.output;
}

TEST_F(FaultTest, AUserErrorAloneIsTheMessage) {
  const Ended ended = run(1, "user-error-all");
  EXPECT_EQ(ended.code, 78);
  EXPECT_THAT(ended.output, HasSubstr("fault_rank: train.steps=-1: must be at least 0\n"));
}

TEST_F(FaultTest, ARankThatExitsEndsAll) {
  const Ended ended = run(3, "exit");
  EXPECT_EQ(ended.code, 3);
}

TEST_F(FaultTest, AKilledRankEndsAll) {
  const Ended ended = run(3, "kill");
  EXPECT_EQ(ended.code, 128 + SIGKILL);
  EXPECT_THAT(ended.output, AllOf(HasSubstr("rank 2"), HasSubstr("signal 9")));
}

void expect_watchdog(const Ended& ended) {
  EXPECT_EQ(ended.code, 74) << ended.output;
  const std::string begin = "no progress in section step for ";
  ASSERT_EQ(count_of(ended.output, begin), 1U) << ended.output;
  const std::string rest = ended.output.substr(ended.output.find(begin) + begin.size());
  EXPECT_THAT(rest, HasSubstr(" s at step 7: "));
  const int waited = std::stoi(rest);
  EXPECT_GE(waited, kShortLimitSeconds);
  EXPECT_LT(waited, kLongLimitSeconds);
}

TEST_F(FaultTest, AHangingRankIsNamed) {
  const Ended ended = run(3, "hang", kShortLimitSeconds);
  expect_watchdog(ended);
  EXPECT_THAT(ended.output, HasSubstr("the others, at all_reduce_max no. 14, wait for rank 2 on "));
  EXPECT_THAT(ended.output, HasSubstr("(section step, step 7, after all_reduce no. 13)"));
  size_t reports = 0;
  for (int rank = 0; rank < 3; ++rank)
    reports += std::filesystem::exists(folder_.path("failure-" + std::to_string(rank))) ? 1 : 0;
  EXPECT_EQ(reports, 1U);
}

TEST_F(FaultTest, AStoppedRankIsNamedSilent) {
  const Ended ended = run(3, "stop", kShortLimitSeconds);
  expect_watchdog(ended);
  EXPECT_THAT(ended.output, AllOf(HasSubstr("wait for rank 2 on "), HasSubstr("silent for ")));
}

TEST_F(FaultTest, ARankInAnotherCallIsNamed) {
  const Ended ended = run(2, "other-call", kShortLimitSeconds);
  expect_watchdog(ended);
  EXPECT_THAT(ended.output, AllOf(HasSubstr("the ranks make different calls"), HasSubstr("inside barrier no. 14")));
}

TEST_F(FaultTest, ARankThatLeavesEarlyIsNamed) {
  const Ended ended = run(3, "leave", kShortLimitSeconds);
  expect_watchdog(ended);
  EXPECT_THAT(ended.output, HasSubstr("nothing was heard from rank 2 on "));
}

class StopTest : public FaultTest {
 protected:
  // `target` chooses whom to signal from mpirun's process id and the ranks' [2].
  Ended stop_by(int signal, const std::function<pid_t(pid_t, const std::vector<pid_t>&)>& target) {
    bool sent = false;
    return run(2, "run", kLongLimitSeconds, [&](const std::string& output, pid_t mpirun) {
      std::vector<pid_t> ranks(2, 0);
      for (int rank = 0; rank < 2; ++rank) {
        const std::string begin = "running " + std::to_string(rank) + " ";
        const size_t at = output.find(begin);
        if (sent || at == std::string::npos || output.find('\n', at) == std::string::npos) return;
        ranks[rank] = std::stoi(output.substr(at + begin.size()));
      }
      sent = true;
      kill(target(mpirun, ranks), signal);
    });
  }
  void expect_saved(const Ended& ended) {
    EXPECT_EQ(ended.code, 75) << ended.output;
    EXPECT_TRUE(std::filesystem::exists(folder_.path("saved-0"))) << ended.output;
    EXPECT_TRUE(std::filesystem::exists(folder_.path("saved-1"))) << ended.output;
    EXPECT_TRUE(std::filesystem::is_empty(folder_.path("ranks")));
  }
};

TEST_F(StopTest, UserSignalToMpirun) {
  expect_saved(stop_by(SIGUSR1, [](pid_t mpirun, const auto&) { return mpirun; }));
}

// As srun sends it; Open MPI's mpirun itself answers SIGTERM by killing its ranks a second later.
TEST_F(StopTest, TerminateToOneRankStopsAll) {
  expect_saved(stop_by(SIGTERM, [](pid_t, const auto& ranks) { return ranks[1]; }));
}

}  // namespace
}  // namespace hyperx::comm

// Starts comm_fault_rank under the real mpirun and looks at what a user sees: the text, the exit code, the time it
// takes.
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

namespace hyperx::comm {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{60};

struct Ended {
  std::string output;  // both streams
  int code = -1;       // exit code; -signal
  double seconds = 0;  // since all ranks were running: their start takes long on a busy machine
};

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

class FaultTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    folder_ = testing::TempDir() + "hyperx_fault_" + name + "_" + std::to_string(getpid());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // Runs the job; `on_output` sees all output so far with each new piece, and mpirun's process id.
  Ended run(int ranks, const std::string& mode, std::vector<std::string> mpirun_options = {},
            const std::function<void(const std::string&, pid_t)>& on_output = {}) {
    std::vector<std::string> command = {HYPERX_MPIEXEC, "-np", std::to_string(ranks)};
    command.insert(command.end(), mpirun_options.begin(), mpirun_options.end());
    command.insert(command.end(), {HYPERX_FAULT_RANK, mode, folder_});
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    auto running = Clock::now();
    const auto observe = [&](const std::string& output, pid_t mpirun) {
      if (count_of(output, "running ") < static_cast<size_t>(ranks)) running = Clock::now();
      if (on_output) on_output(output, mpirun);
    };
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
    read_all(ends[0], process, ended.output, observe);
    close(ends[0]);
    int status = 0;
    waitpid(process, &status, 0);
    ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    ended.seconds = std::chrono::duration<double>(Clock::now() - running).count();
    return ended;
  }

  std::string folder_;

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
      on_output(output, process);
    }
  }
};

TEST_F(FaultTest, AnExceptionNamesRankSectionStepAndReason) {
  const Ended ended = run(3, "throw");
  EXPECT_EQ(ended.code, 70);
  EXPECT_LT(ended.seconds, 10);
  EXPECT_EQ(count_of(ended.output, "fault_rank: rank 2 on host "), 1U) << ended.output;
  EXPECT_THAT(ended.output,
              HasSubstr("failed in section step at step 7: a bug, please report it with the command line: an index is "
                        "out of range"));
  // The line comes before what mpirun says.
  EXPECT_LT(ended.output.find("failed in section"), ended.output.find("MPI_ABORT"));
  EXPECT_THAT(read_file(folder_ + "/failure-2"), AllOf(HasSubstr("2|"), HasSubstr("|step|7|70|")));
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
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/failure-0"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/failure-1"));
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
  EXPECT_LT(ended.seconds, 10);
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
  EXPECT_LT(ended.seconds, 10);
}

TEST_F(FaultTest, AKilledRankEndsAll) {
  const Ended ended = run(3, "kill");
  EXPECT_EQ(ended.code, 128 + SIGKILL);
  EXPECT_LT(ended.seconds, 10);
  EXPECT_THAT(ended.output, AllOf(HasSubstr("rank 2"), HasSubstr("signal 9")));
}

// The watchdog's limit for a step is 3 s here.
void expect_watchdog(const Ended& ended) {
  EXPECT_EQ(ended.code, 74) << ended.output;
  EXPECT_GT(ended.seconds, 3);
  EXPECT_LT(ended.seconds, 12);
  EXPECT_EQ(count_of(ended.output, "no progress in section step for "), 1U) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr(" s at step 7: "));
}

TEST_F(FaultTest, AHangingRankIsNamed) {
  const Ended ended = run(3, "hang");
  expect_watchdog(ended);
  EXPECT_THAT(ended.output, HasSubstr("the others, at all_reduce_max no. 14, wait for rank 2 on "));
  EXPECT_THAT(ended.output, HasSubstr("(section step, step 7, after all_reduce no. 13)"));
  size_t reports = 0;
  for (int rank = 0; rank < 3; ++rank)
    reports += std::filesystem::exists(folder_ + "/failure-" + std::to_string(rank)) ? 1 : 0;
  EXPECT_EQ(reports, 1U);
}

TEST_F(FaultTest, AStoppedRankIsNamedSilent) {
  const Ended ended = run(3, "stop");
  expect_watchdog(ended);
  EXPECT_THAT(ended.output, AllOf(HasSubstr("wait for rank 2 on "), HasSubstr("silent for ")));
}

TEST_F(FaultTest, ARankInAnotherCallIsNamed) {
  const Ended ended = run(2, "other-call");
  expect_watchdog(ended);
  EXPECT_THAT(ended.output, AllOf(HasSubstr("the ranks make different calls"), HasSubstr("inside barrier no. 14")));
}

TEST_F(FaultTest, ARankThatLeavesEarlyIsNamed) {
  const Ended ended = run(3, "leave");
  expect_watchdog(ended);
  EXPECT_THAT(ended.output, HasSubstr("nothing was heard from rank 2 on "));
}

class StopTest : public FaultTest {
 protected:
  Ended stop_by(int signal) {
    bool sent = false;
    return run(
        2, "run", {"--mca", "odls_base_sigkill_timeout", "30"}, [=](const std::string& output, pid_t mpirun) mutable {
          if (sent || output.find("running 0") == std::string::npos || output.find("running 1") == std::string::npos)
            return;
          sent = true;
          kill(mpirun, signal);
        });
  }
  void expect_saved(const Ended& ended) {
    EXPECT_TRUE(std::filesystem::exists(folder_ + "/saved-0")) << ended.output;
    EXPECT_TRUE(std::filesystem::exists(folder_ + "/saved-1")) << ended.output;
    EXPECT_TRUE(std::filesystem::is_empty(folder_ + "/ranks"));
  }
};

TEST_F(StopTest, UserSignalToMpirun) {
  const Ended ended = stop_by(SIGUSR1);
  EXPECT_EQ(ended.code, 75) << ended.output;
  expect_saved(ended);
}

TEST_F(StopTest, TerminateToMpirun) {
  const Ended ended = stop_by(SIGTERM);
  EXPECT_EQ(ended.code, 75) << ended.output;
  expect_saved(ended);
}

}  // namespace
}  // namespace hyperx::comm

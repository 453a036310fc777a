// The log belongs to the process, so each case is a child.
#include "common/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <functional>

#include "common/files.h"
#include "tests/support/folder.h"
#include "tests/support/text.h"

namespace hyperx::log {
namespace {

void limit_files_to(rlim_t bytes) {
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ::getrlimit(RLIMIT_FSIZE, &limit);
  limit.rlim_cur = bytes;
  ::setrlimit(RLIMIT_FSIZE, &limit);
}

class LogTest : public testing::Test {
 protected:
  // Runs `work` in a child. What it writes to standard error, which is a pipe.
  static std::string told_by(const std::function<void()>& work) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::dup2(ends[1], STDERR_FILENO);
      ::close(ends[1]);
      work();
      std::exit(0);
    }
    ::close(ends[1]);
    std::string text;
    char buffer[4096];
    for (ssize_t got; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;) text.append(buffer, got);
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    return text;
  }
  std::string file() const { return folder_.path("train.log"); }
  test::TemporaryFolder folder_;
};

TEST_F(LogTest, LinesOfAFullDiskAreWrittenLater) {
  const std::string told = told_by([&] {
    add_file(file());
    info("first");
    limit_files_to(40);  // in the middle of the second line
    info("second {}", std::string(60, 'x'));
    info("third");
    limit_files_to(RLIM_INFINITY);
    info("fourth");
  });
  EXPECT_EQ(test::count_of(told, "\n"), 5U) << told;
  EXPECT_EQ(test::count_of(told, "train.log: only a part of a line was written (a full disk?); its lines wait"), 1U)
      << told;
  const std::string text = read_file(file());
  EXPECT_EQ(test::count_of(text, "\n"), 4U) << text;
  EXPECT_THAT(text, testing::ContainsRegex(" info first\n.* info second x*\n.* info third\n.* info fourth\n"));
}

TEST_F(LogTest, WhatIsLostIsCounted) {
  EXPECT_THAT(told_by([&] {
                add_file(file());
                limit_files_to(0);
                info("second");
                info("third");
              }),
              testing::ContainsRegex("error: .*train.log lacks 2 lines: "));
  told_by([&] {
    ::dup2(::open("/dev/full", O_WRONLY), STDERR_FILENO);
    add_file(file());
    info("third");
    info("fourth");
  });
  EXPECT_THAT(read_file(file()), testing::ContainsRegex(" info third\n.*standard error cannot be written to.*\n"
                                                        ".* info fourth\n.*standard error lacks 2 lines"));
}

TEST_F(LogTest, AFileThatCannotBeOpenedIsAWarning) {
  EXPECT_THAT(told_by([&] {
                add_file(folder_.path());
                info("and on");
              }),
              testing::ContainsRegex("warning: .*Is a directory.*\n.*and on"));
}

}  // namespace
}  // namespace hyperx::log

#include <gmock/gmock.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <sstream>

#include "common/files.h"
#include "common/log.h"
#include "tests/support/text.h"
#include "tests/trainer/checkpoint/checkpoint_sample.h"
#include "trainer/run/run_log.h"

namespace hyperx::train {
namespace {

using test::count_of;
using testing::HasSubstr;
namespace fs = std::filesystem;

// The disk is full for this process: no file may grow beyond `bytes`.
class FullDisk {
 public:
  explicit FullDisk(uintmax_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before_); }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit before_{};
};

class RunLogFaultsTest : public FolderTest {
 protected:
  void SetUp() override {
    log::set_rank(0, 1);
    run_ = open_run_dir(path("run"), false);
  }

  static StepRecord record(int64_t step) {
    StepRecord record;
    record.step = step;
    record.pair = "pos:en";
    return record;
  }

  // Every line is whole, and steps follow each other from 1 on. Returns the last.
  int64_t last_step() const {
    std::istringstream lines(read_file(run_.metrics()));
    int64_t step = 0;
    for (std::string line; std::getline(lines, line);) EXPECT_EQ(nlohmann::json::parse(line).at("step"), ++step);
    EXPECT_EQ(read_file(run_.metrics()).back(), '\n');
    return step;
  }

  // While it stands, state.json cannot be replaced.
  void block_state() const {
    for (const std::string& temporary : temporaries()) fs::create_directories(temporary);
  }
  void unblock_state() const {
    for (const std::string& temporary : temporaries()) fs::remove(temporary);
  }
  std::vector<std::string> temporaries() const {
    return {run_.state() + ".tmp", run_.state() + "." + std::to_string(::getpid()) + ".tmp"};
  }

  RunDir run_;
};

TEST_F(RunLogFaultsTest, EventFilesThatCannotBeBegunDoNotEndTheRun) {
  folder_.write("run/tensorboard", "a file, where a folder should be");
  testing::internal::CaptureStderr();
  RunLog log(run_, true, 0, 400, {}, nullptr, 0);
  EXPECT_NO_THROW(log.add_tensorboard());
  log.step(record(1));
  log.set_state("finished");
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("no event files for TensorBoard"));
  EXPECT_EQ(last_step(), 1);
}

TEST_F(RunLogFaultsTest, EventsThatCannotBeWrittenWait) {
  RunLog log(run_, true, 0, 400, {}, nullptr, 0);
  log.add_tensorboard();
  for (int step = 1; step <= 20; ++step) log.step(record(step));
  const std::string events = fs::directory_iterator(run_.tensorboard())->path().string();
  const auto before = fs::file_size(events);
  ASSERT_LT(before, fs::file_size(run_.metrics())) << "only the event file must be too large below";
  testing::internal::CaptureStderr();
  fs::resize_file(run_.metrics(), 0);  // so that it has space
  {
    const FullDisk full(before + 20);  // in the middle of a record
    EXPECT_NO_THROW(log.step(record(21)));
    EXPECT_EQ(fs::file_size(events), before) << "a torn record stays out of the file";
  }
  log.step(record(22));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("written again after 1 failed tries"));
  EXPECT_EQ((fs::file_size(events) - before) % 2, 0U);
  EXPECT_GT(fs::file_size(events), before + 100);
}

TEST_F(RunLogFaultsTest, LinesThatCannotBeWrittenWait) {
  RunLog log(run_, true, 0, 400, {}, nullptr, 0);
  for (int step = 1; step <= 200; ++step) log.step(record(step));
  testing::internal::CaptureStderr();
  {
    const FullDisk full(fs::file_size(run_.metrics()) + 20);  // in the middle of a line
    for (int step = 201; step <= 205; ++step) EXPECT_NO_THROW(log.step(record(step)));
    EXPECT_EQ(last_step(), 200) << "a torn line stays out of the file";
  }
  log.step(record(206));
  const std::string told = testing::internal::GetCapturedStderr();
  EXPECT_EQ(last_step(), 206);
  EXPECT_EQ(count_of(told, "warning"), 1U) << told;
  EXPECT_THAT(told, HasSubstr("written again after 5 failed tries"));
}

// A disk that stays full is not asked at each of a hundred steps a second.
TEST_F(RunLogFaultsTest, AFailedWriteIsTriedAgainAfterAPause) {
  RunLog log(run_, true, 0, 400, {}, nullptr, 3600);
  for (int step = 1; step <= 200; ++step) log.step(record(step));
  {
    const FullDisk full(fs::file_size(run_.metrics()));
    log.step(record(201));
  }
  log.step(record(202));
  EXPECT_EQ(last_step(), 200);
  log.set_state("finished");
  EXPECT_EQ(last_step(), 202);
}

TEST_F(RunLogFaultsTest, WhatIsLostAtTheEndIsCounted) {
  RunLog log(run_, true, 0, 400, {}, nullptr, 0);
  for (int step = 1; step <= 200; ++step) log.step(record(step));
  testing::internal::CaptureStderr();
  {
    const FullDisk full(fs::file_size(run_.metrics()));
    log.step(record(201));
    log.step(record(202));
    EXPECT_NO_THROW(log.set_state("finished"));
  }
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("error: metrics.jsonl lacks 2 lines: "));
  EXPECT_EQ(read_run_state(run_).state, "finished");
}

TEST_F(RunLogFaultsTest, AStateThatCannotBeWrittenDoesNotEndTheRun) {
  RunLog log(run_, true, 0, 400, {}, nullptr, 0);
  log.set_state("running");
  block_state();
  testing::internal::CaptureStderr();
  EXPECT_NO_THROW(log.saved("step-0000005"));
  EXPECT_NO_THROW(log.saved("step-0000010"));
  EXPECT_NO_THROW(log.set_state("running"));
  EXPECT_EQ(read_run_state(run_).checkpoint, "");
  unblock_state();
  log.saved("step-0000015");
  const std::string told = testing::internal::GetCapturedStderr();
  EXPECT_EQ(count_of(told, "warning"), 1U) << told;
  EXPECT_THAT(told, HasSubstr("written again after 3 failed tries"));
  EXPECT_EQ(read_run_state(run_).checkpoint, "step-0000015");
}

TEST_F(RunLogFaultsTest, NothingIsWrittenOnceTheLockIsLost) {
  const RunLock lock(run_, {std::chrono::milliseconds(5), std::chrono::hours(1), std::chrono::hours(1)});
  RunLog log(run_, true, 0, 400, {}, &lock);
  log.set_state("running");
  log.step(record(1));
  RunLock::Owner other = RunLock::Owner::self();
  other.token = "another";
  write_file_atomically(run_.lock(), other.to_json().dump());
  ::usleep(20000);
  const std::string state = read_file(run_.state());
  EXPECT_THROW(log.step(record(2)), LostLock);
  EXPECT_THROW(log.set_state("finished"), LostLock);
  EXPECT_THROW(log.saved("step-0000001"), LostLock);
  EXPECT_EQ(last_step(), 1);
  EXPECT_EQ(read_file(run_.state()), state);
}

}  // namespace
}  // namespace hyperx::train

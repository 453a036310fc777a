// What happens to a training whose output cannot be written, and which is signalled from its first moment on.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/files.h"
#include "tests/system/workplace.h"

namespace hyperx::testing_system {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

const Options kLong = {{"train.steps", "100000"}};

class OutputTest : public SystemTest {
 protected:
  // `hyperx train ...` as a word of a shell's command.
  std::string train_command(const Options& options = {}) const {
    std::string command = HYPERX_PROGRAM;
    Arguments words = train_line("run", options);
    words.insert(words.end(), {"--resume", "auto"});
    for (const std::string& word : words) command += " '" + word + "'";
    return command;
  }
  Job shell(const std::string& command) const { return Job(0, {"-c", command}, path(""), "/bin/bash"); }

  bool has_steps() const {
    std::error_code none;
    return fs::file_size(path("run") + "/metrics.jsonl", none) > 1000 && !none;
  }
  void expect_whole_metrics(size_t steps) const {
    std::istringstream lines(read_file(path("run") + "/metrics.jsonl"));
    size_t found = 0;
    for (std::string line; std::getline(lines, line);) {
      ASSERT_TRUE(nlohmann::json::accept(line)) << line;
      found += nlohmann::json::parse(line).at("event") == "step" ? 1 : 0;
    }
    EXPECT_EQ(found, steps);
  }
};

TEST_F(OutputTest, AReaderThatEndsDoesNotEndATraining) {
  const Outcome end = shell(train_command() + " 2>&1 | true; exit ${PIPESTATUS[0]}").wait();
  EXPECT_EQ(end.code, 0);
  expect_whole_metrics(12);
  EXPECT_THAT(log("run"), HasSubstr("standard error cannot be written to"));
  EXPECT_THAT(log("run"), HasSubstr("step 12/12"));
}

TEST_F(OutputTest, AFullDiskBehindStandardErrorDoesNotEndATraining) {
  EXPECT_EQ(shell(train_command() + " >/dev/full 2>&1").wait().code, 0);
  expect_whole_metrics(12);
  EXPECT_THAT(log("run"), testing::ContainsRegex("standard error lacks [0-9]+ lines"));
}

TEST_F(OutputTest, AReaderThatIsStoppedDoesNotStopATraining) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_NONBLOCK), 0);
  const std::string filling(4096, '.');
  while (::write(ends[1], filling.data(), filling.size()) > 0) {
  }
  const std::string pipe = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(ends[1]);
  EXPECT_EQ(shell(train_command() + " 2>" + pipe).wait().code, 0);
  expect_whole_metrics(12);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(OutputTest, ALogFileThatCannotBeOpenedDoesNotEndATraining) {
  fs::create_directories(path("run") + "/train.log");
  const Outcome end = shell(train_command()).wait();
  EXPECT_EQ(end.code, 0) << end.errors;
  EXPECT_THAT(end.errors, HasSubstr("/train.log: cannot be written to: Is a directory"));
  fs::remove_all(path("run"));
  fs::create_directories(path("run"));
  ASSERT_EQ(::mkfifo((path("run") + "/train.log").c_str(), 0600), 0);
  EXPECT_EQ(shell(train_command()).wait().code, 0);
}

// Ctrl-C reaches the training and its `tee`, which ends first.
TEST_F(OutputTest, CtrlCSavesInAPipeline) {
  Job job = shell(train_command(kLong) + " 2>&1 | tee " + path("tee") + "; exit ${PIPESTATUS[0]}");
  ASSERT_TRUE(job.wait_until([&] { return has_steps(); }));
  std::vector<pid_t> both = job.ranks();
  ASSERT_EQ(both.size(), 2U);
  std::sort(both.rbegin(), both.rend());  // tee was started second
  for (const pid_t each : both) {
    kill(each, SIGINT);
    ::usleep(20000);
  }
  EXPECT_EQ(job.wait().code, 75);
  EXPECT_EQ(state("run").at("state"), "saved");
}

TEST_F(OutputTest, ALostTerminalSavesUnlessNohup) {
  Options options = kLong;
  Job job = shell("exec " + train_command(options));
  ASSERT_TRUE(job.wait_until([&] { return has_steps(); }));
  job.send(SIGHUP);
  EXPECT_EQ(job.wait().code, 75);
  const int64_t step = state("run").at("step");
  options["train.steps"] = std::to_string(step + 300);
  Job ignoring = shell("trap '' HUP; exec " + train_command(options));
  ASSERT_TRUE(ignoring.wait_until([&] { return state("run").at("state") == "running"; }));
  ignoring.send(SIGHUP);
  EXPECT_EQ(ignoring.wait().code, 0);
}

TEST_F(OutputTest, ClosedDescriptorsLeaveTheFilesAlone) {
  for (const char* closed : {"<&- >&- 2>&-", "2>&-", ">&- 2>&-"}) {
    fs::remove_all(path("run"));
    EXPECT_EQ(shell(train_command() + " " + closed).wait().code, 0) << closed;
    expect_whole_metrics(12);
  }
}

// LibTorch has yet to be loaded, and nothing handles signals.
TEST_F(OutputTest, AnEarlySignalIsHeldUntilItCanBeServed) {
  for (const int signal : {SIGUSR1, SIGTERM, SIGINT, SIGHUP}) {
    fs::remove_all(path("run"));
    Job job = shell("exec " + train_command(kLong));
    ASSERT_TRUE(job.wait_until([&] {
      std::ifstream status("/proc/" + std::to_string(job.launcher()) + "/status");
      for (std::string line; std::getline(status, line);)
        if (line.starts_with("SigBlk:")) return (std::stoull(line.substr(7), nullptr, 16) >> (signal - 1) & 1) != 0;
      return false;
    })) << "it never holds signal "
        << signal;
    job.send(signal);
    EXPECT_EQ(job.wait().code, 75) << strsignal(signal);
    EXPECT_EQ(state("run").at("state"), "saved");
    EXPECT_EQ(state("run").at("step"), 1);
  }
}

TEST_F(OutputTest, BytesThatAreNotUtf8AreStoredWithReplacements) {
  const std::string command = "SLURM_JOB_NAME=$'caf\\xe9' LD_LIBRARY_PATH=$LD_LIBRARY_PATH:$'/\\xff' ";
  const Outcome end = shell(command + train_command({{"checkpoint.every", "6"}})).wait();
  EXPECT_EQ(end.code, 0) << end.errors;
  const nlohmann::json starts = nlohmann::json::parse(read_file(path("run") + "/environment.json"));
  EXPECT_EQ(starts[0].at("variables").at("SLURM_JOB_NAME"), "caf\xEF\xBF\xBD");
  // and in the run folder's own name, which checkpoints keep too
  const std::string odd = path("run") + "-\xe9";
  Arguments line = train_line("run");
  *(std::find(line.begin(), line.end(), "--run.dir") + 1) = odd;
  EXPECT_EQ(run(0, line).code, 0);
  EXPECT_TRUE(fs::exists(odd + "/checkpoints/latest"));
}

// Refused before its first step, as it is of another model.
TEST_F(OutputTest, AStartThatFailsLeavesTheRunAsItWas) {
  train(0, "run");
  const auto kept = [&] {
    return read_file(path("run") + "/state.json") + read_file(path("run") + "/config.conf") +
           read_file(path("run") + "/metrics.jsonl");
  };
  const std::string before = kept();
  for (const auto& [options, code] :
       {std::pair{Options{{"hyperx.adapter_dim", "4"}}, 78}, {Options{{"model.encoder", path("nowhere")}}, 66}})
    for (const int ranks : {0, 2}) {
      Arguments line = train_line("run", options);
      line.insert(line.end(), {"--resume", "auto"});
      const Outcome end = run(ranks, line);
      EXPECT_EQ(end.code, code) << end.errors;
      EXPECT_EQ(kept(), before);
    }
  train(0, "run", {{"train.steps", "14"}}, {"--resume", "auto"});
  EXPECT_EQ(state("run").at("step"), 14);
}

TEST_F(OutputTest, WhatAKilledStartLeftHalfWrittenIsRemoved) {
  train(0, "run");
  const std::string results = path("run") + "/results/step-0000012/test";
  fs::create_directories(results);
  const std::string dead = ".4194305.tmp", alive = "." + std::to_string(::getpid()) + ".tmp";
  for (const std::string& file : {path("run") + "/state.json", path("run") + "/config.conf", results + "/pos.en.tsv"})
    for (const std::string& owner : {dead, alive}) std::ofstream(file + owner) << "half";
  train(0, "run", {{"train.steps", "13"}}, {"--resume", "auto"});
  EXPECT_FALSE(fs::exists(path("run") + "/state.json" + dead));
  EXPECT_FALSE(fs::exists(path("run") + "/config.conf" + dead));
  EXPECT_FALSE(fs::exists(results + "/pos.en.tsv" + dead));
  EXPECT_TRUE(fs::exists(results + "/pos.en.tsv" + alive)) << "an evaluation that still runs";
  std::ofstream(results + "/pos.en.json" + dead) << "half";
  const Outcome end = run(0, {"evaluate", checkpoint("run", 12), "--eval.pairs", "pos:en", "--eval.split", "test"});
  EXPECT_EQ(end.code, 0) << end.errors;
  EXPECT_FALSE(fs::exists(results + "/pos.en.json" + dead));
}

}  // namespace
}  // namespace hyperx::testing_system

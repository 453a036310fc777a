// One run folder, two starts: a requeued job continues without a person, and never next to a living run.
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>

#include "common/files.h"
#include "tests/system/workplace.h"
#include "trainer/run/run_lock.h"

namespace hyperx::testing_system {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const Options kRun = {{"train.steps", "60"}, {"checkpoint.every", "5"}};

class TakeoverTest : public SystemTest {
 protected:
  Arguments line(Options options = kRun) const {
    Arguments arguments = train_line("run", options);
    arguments.insert(arguments.end(), {"--resume", "auto"});
    return arguments;
  }
  std::string lock() const { return path("run") + "/lock"; }
  bool has_checkpoint() const { return fs::exists(path("run") + "/checkpoints/latest"); }

  // As if its owner ran on a node that cannot be reached.
  nlohmann::json move_owner_away() const {
    nlohmann::json owner = nlohmann::json::parse(read_file(lock()));
    owner["host"] = "lost-node";
    owner["boot"] = "another";
    owner.erase("digest");
    write_file_atomically(lock(), owner.dump());
    return owner;
  }
};

TEST_F(TakeoverTest, ARequeuedJobGoesOnAfterItsNodeIsLost) {
  train(0, "whole", kRun);
  setenv("SLURM_JOB_ID", "4711", 1);
  {
    Job job(0, line(), path(""));
    ASSERT_TRUE(job.wait_until([&] { return has_checkpoint(); }));
    job.kill_all();
  }
  const nlohmann::json owner = move_owner_away();
  EXPECT_EQ(owner.at("job"), "4711");
  EXPECT_EQ(owner.at("restarts"), 0);
  EXPECT_GT(owner.at("pid"), 0);
  setenv("SLURM_RESTART_COUNT", "1", 1);
  const Outcome end = run(0, line());
  unsetenv("SLURM_RESTART_COUNT");
  unsetenv("SLURM_JOB_ID");
  ASSERT_EQ(end.code, 0) << end.errors;
  EXPECT_THAT(end.errors, AllOf(HasSubstr("on lost-node, which has ended"), Not(HasSubstr("sign of life"))));
  EXPECT_FALSE(fs::exists(lock()));
  EXPECT_TRUE(checkpoint_file("whole", 60, "model.h5") == checkpoint_file("run", 60, "model.h5"));
  EXPECT_EQ(history("whole"), history("run"));
}

TEST_F(TakeoverTest, ASecondStartIsRefusedWhileTheFirstRuns) {
  Options longer = kRun;
  longer["train.steps"] = "20000";
  fs::create_directories(path("first"));
  Job job(2, line(longer), path("first"));
  ASSERT_TRUE(job.wait_until([&] { return has_checkpoint(); }));
  const Outcome second = run(2, line(longer));
  EXPECT_EQ(second.code, 73) << second.errors;
  EXPECT_THAT(second.errors, HasSubstr("is running in this folder"));
  EXPECT_TRUE(job.running());
  EXPECT_EQ(state("run").at("state"), "running");
  job.kill_all();
}

TEST_F(TakeoverTest, ARunThatHasLostItsLockStops) {
  Options longer = kRun;
  longer["train.steps"] = "20000";
  Job job(2, line(longer), path(""));
  ASSERT_TRUE(job.wait_until([&] { return has_checkpoint(); }));
  nlohmann::json owner = move_owner_away();
  owner["token"] = "another";
  write_file_atomically(lock(), owner.dump());
  const Outcome stopped = job.wait();
  EXPECT_EQ(stopped.code, 73) << stopped.errors;
  EXPECT_THAT(stopped.errors, HasSubstr("on lost-node has taken over this run folder"));
  EXPECT_EQ(state("run").at("state"), "running") << "the folder is the other's";
  EXPECT_EQ(nlohmann::json::parse(read_file(lock())), owner);
}

}  // namespace
}  // namespace hyperx::testing_system

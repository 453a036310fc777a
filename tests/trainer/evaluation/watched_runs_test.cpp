#include "trainer/evaluation/watched_runs.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "common/errors.h"
#include "tests/support/errors.h"
#include "tests/support/folder.h"
#include "trainer/run/run_state.h"

namespace hyperx::train {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class WatchedRunsTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path(name); }

  void set_state(const std::string& run, const std::string& word) const {
    make_folders(path(run));
    RunState state;
    state.state = word;
    state.started = utc_time();
    write_run_state(RunDir{path(run)}, state);
  }
  // As a process wrote it that has ended and cannot be seen from here.
  void set_lost(const std::string& run) const {
    folder_.write(run + "/state.json",
                  R"({"state":"running","step":3,"steps":9,"world_size":1,"started":"2026-01-01T00:00:00Z",
                      "heartbeat":"2026-01-01T00:00:00Z","checkpoint":"","process":{"host":"elsewhere","pid":7}})");
  }
  void save(const std::string& run, const std::string& step) const {
    folder_.write(run + "/checkpoints/step-" + step + "/manifest.json", "{}");
  }

  test::TemporaryFolder folder_;
};

TEST_F(WatchedRunsTest, FindsRunsWithinFolders) {
  for (const char* run : {"b/one", "b/two", "a"}) set_state(run, "finished");
  set_state("a/checkpoints/inner", "finished");  // a folder within a run is no run
  make_folders(path("empty/deeper"));
  EXPECT_THAT(find_runs(path("")), ElementsAre(path("a"), path("b/one"), path("b/two")));
  EXPECT_THAT(find_runs(path("b/one/")), ElementsAre(path("b/one")));
  EXPECT_THAT(find_runs(path("empty")), IsEmpty());
}

TEST_F(WatchedRunsTest, GivesEachCheckpointOnceByStep) {
  set_state("run", "running");
  save("run", "0000010");
  save("run", "0000009");
  save("run", "0000011.tmp");
  WatchedRuns runs(path("run"), {});
  EXPECT_THAT(runs.new_checkpoints(),
              ElementsAre(path("run/checkpoints/step-0000009"), path("run/checkpoints/step-0000010")));
  EXPECT_THAT(runs.new_checkpoints(), IsEmpty());
  save("run", "0000020");
  EXPECT_THAT(runs.new_checkpoints(), ElementsAre(path("run/checkpoints/step-0000020")));
}

TEST_F(WatchedRunsTest, SeesRunsThatBeginLater) {
  set_state("runs/one", "finished");
  WatchedRuns runs(path("runs"), {});
  EXPECT_TRUE(runs.over());
  set_state("runs/two", "running");  // by this process, which lives
  save("runs/two", "0000001");
  EXPECT_THAT(runs.new_checkpoints(), ElementsAre(path("runs/two/checkpoints/step-0000001")));
  EXPECT_FALSE(runs.over());
}

TEST_F(WatchedRunsTest, IsOverWhenNoHeartbeatIsLeft) {
  set_state("runs/one", "finished");
  set_lost("runs/two");
  WatchedRuns runs(path("runs"), {});
  EXPECT_TRUE(runs.over());
  EXPECT_EQ(runs.counts().finished, 1);
  EXPECT_EQ(runs.counts().silent, 1);
  set_state("runs/two", "saved");  // stopped a moment ago: the queue may start it again
  EXPECT_FALSE(runs.over());
  EXPECT_EQ(runs.counts().active, 1);
}

TEST_F(WatchedRunsTest, AFolderWithoutRunsIsWaitedFor) {
  make_folders(path("runs"));
  EXPECT_FALSE(WatchedRuns(path("runs"), {.patience_seconds = 600}).over());
  EXPECT_TRUE(WatchedRuns(path("runs"), {.patience_seconds = 1e-9}).over());
}

TEST_F(WatchedRunsTest, CountsWhatWasPrunedUnseen) {
  set_state("run", "finished");
  save("run", "0000030");
  make_folders(path("run/results/step-0000020/test"));  // scored before
  folder_.write("run/metrics.jsonl",
                "{\"event\":\"checkpoint\",\"step\":10}\n{\"event\":\"step\",\"step\":11}\n"
                "{\"event\":\"checkpoint\",\"step\":20}\nnot JSON \"checkpoint\"\n"
                "{\"event\":\"checkpoint\",\"step\":30}\n");
  WatchedRuns runs(path("run"), {});
  runs.new_checkpoints();
  EXPECT_EQ(runs.counts().checkpoints, 1);
  EXPECT_EQ(runs.counts().pruned, 1);
}

TEST_F(WatchedRunsTest, ASecondWatcherIsRefusedWithTheNameOfTheFirst) {
  set_state("runs/one", "running");
  const std::string us = "process " + std::to_string(::getpid());
  const auto refusal = [&](const std::string& folder) {
    return test::message_of(ExitCode::kCannotCreate, [&] { const WatchedRuns second(path(folder), {}); });
  };
  {
    const WatchedRuns first(path("runs"), {});
    EXPECT_THAT(refusal("runs"), testing::AllOf(HasSubstr(us), HasSubstr("watches these runs already")));
    EXPECT_THAT(refusal("runs/one"), HasSubstr(us));  // one of its runs
  }
  {
    const WatchedRuns first(path("runs/one"), {});
    EXPECT_THAT(refusal("runs"), HasSubstr(us));  // the folder of a watched run
  }
  EXPECT_EQ(refusal("runs"), "");
  EXPECT_THAT(test::message_of(ExitCode::kNoInput, [&] { const WatchedRuns none(path("nowhere"), {}); }),
              HasSubstr("nowhere: no such run"));
}

}  // namespace
}  // namespace hyperx::train

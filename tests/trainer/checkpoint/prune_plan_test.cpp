#include "trainer/checkpoint/prune_plan.h"

#include <gmock/gmock.h>

#include <latch>
#include <thread>

#include "common/errors.h"
#include "tests/support/errors.h"
#include "tests/trainer/checkpoint/checkpoint_sample.h"
#include "tests/trainer/run/ended_process.h"
#include "trainer/checkpoint/checkpoint_list.h"
#include "trainer/checkpoint/checkpoint_writer.h"
#include "trainer/run/run_lock.h"
#include "trainer/run/run_state.h"

namespace hyperx::train {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
namespace fs = std::filesystem;

class Prune : public FolderTest {
 protected:
  Prune() {
    fs::create_directories(run_.checkpoints());
    set_state("finished");
  }
  void set_state(const std::string& word) const {
    RunState state;
    state.state = word;
    state.started = utc_time();
    write_run_state(run_, state);
  }
  // Steps 10, 20, 30, 40, with the score 0.9 at 20.
  void write_four() {
    for (const int64_t step : {10, 20, 30, 40})
      write_now(run_.checkpoints(), step, step == 20 ? std::optional(0.9) : std::optional(0.1));
    name_checkpoints(run_.checkpoints(), 1);
  }
  std::string checkpoint(int64_t step) const { return run_.checkpoints() + "/" + checkpoint_name(step); }
  // Names of what goes.
  static std::vector<std::string> going(const PrunePlan& plan) {
    std::vector<std::string> names;
    for (const PruneEntry& entry : plan.entries)
      if (entry.goes()) names.push_back(fs::path(entry.path).filename().string());
    return names;
  }
  static std::vector<std::string> reasons(const PrunePlan& plan, int64_t step) {
    for (const PruneEntry& entry : plan.entries)
      if (fs::path(entry.path).filename() == checkpoint_name(step)) return entry.reasons;
    return {"not in the plan"};
  }
  int64_t carry_out_now(const PruneRules& rules, const CheckpointUses& uses = {}) const {
    return carry_out(plan_prune(run_, rules, uses), rules, uses);
  }

  RunDir run_{path("run")};
};

TEST_F(Prune, KeepsTheNewestTheBestAndWhatOthersUse) {
  write_four();
  const PruneRules one{.keep_last = 1};
  const PrunePlan plan = plan_prune(run_, one, {});
  EXPECT_THAT(going(plan), ElementsAre("step-0000030", "step-0000010"));
  EXPECT_THAT(reasons(plan, 40), ElementsAre("resume point", "latest"));
  EXPECT_THAT(reasons(plan, 20), ElementsAre("best", "score 0.9"));
  EXPECT_THAT(going(plan_prune(run_, {}, {})), ElementsAre("step-0000010"));
  const CheckpointUses uses = {{fs::canonical(checkpoint(10)).string(), {"runs/other"}}};
  EXPECT_THAT(going(plan_prune(run_, one, uses)), ElementsAre("step-0000030"));
  EXPECT_THAT(reasons(plan_prune(run_, one, uses), 10), ElementsAre("used by runs/other"));
}

TEST_F(Prune, WhatWasScoredStaysUnlessAsked) {
  write_four();
  folder_.write("run/results/step-0000010/test/pos.en.json", "{}");
  EXPECT_THAT(going(plan_prune(run_, {.keep_last = 1}, {})), ElementsAre("step-0000030"));
  EXPECT_THAT(going(plan_prune(run_, {.keep_last = 1, .scored = true}, {})),
              ElementsAre("step-0000030", "step-0000010"));
}

TEST_F(Prune, RemovesWhatThePlanSaysAndLeavesAWholeRun) {
  write_four();
  const PruneRules rules{.keep_last = 1};
  const PrunePlan plan = plan_prune(run_, rules, {});
  EXPECT_EQ(carry_out(plan, rules, {}), plan.bytes_removed());
  EXPECT_EQ(names_in(run_.checkpoints()), "best latest step-0000020 step-0000040");
  Sample::expect_whole(checkpoint(20));
  Sample::expect_whole(checkpoint(40));
  EXPECT_FALSE(fs::exists(run_.lock()));
  EXPECT_FALSE(plan_prune(run_, rules, {}).removes_anything());
}

TEST_F(Prune, ARunThatRunsIsLeftAsItIs) {
  write_four();
  for (const char* state : {"running", "queued"}) {
    set_state(state);  // of this process, which lives
    const PrunePlan plan = plan_prune(run_, {.keep_last = 1}, {});
    EXPECT_EQ(plan.untouched, std::string("it is ") + state);
    EXPECT_THAT(plan.entries, IsEmpty());
  }
}

TEST_F(Prune, AStartInBetweenKeepsEverything) {
  write_four();
  const PruneRules rules{.keep_last = 1};
  const PrunePlan plan = plan_prune(run_, rules, {});
  const RunLock training(run_);
  EXPECT_THAT(test::user_error([&] { carry_out(plan, rules, {}); }), StartsWith("73 "));
  EXPECT_EQ(names_in(run_.checkpoints()), "best latest step-0000010 step-0000020 step-0000030 step-0000040");
}

TEST_F(Prune, NothingOlderGoesIfTheResumePointIsDamaged) {
  write_four();
  set_state("failed");
  flip(checkpoint(40) + "/" + kModelFile, 5000);
  EXPECT_THAT(test::message_of(ExitCode::kBadData, [&] { carry_out_now({.keep_last = 1}); }),
              HasSubstr("nothing older is removed"));
  EXPECT_EQ(names_in(run_.checkpoints()), "best latest step-0000010 step-0000020 step-0000030 step-0000040");
}

TEST_F(Prune, ADamagedManifestIsNotJudged) {
  write_four();
  flip(checkpoint(10) + "/" + kManifestFile, 20);
  EXPECT_THAT(going(plan_prune(run_, {.keep_last = 1}, {})), ElementsAre("step-0000030"));
  EXPECT_THAT(reasons(plan_prune(run_, {.keep_last = 1}, {}), 10), Contains(HasSubstr("cannot be read")));
}

TEST_F(Prune, OfAnUnfinishedRunOneStaysThatALaterStepProvedGood) {
  write_four();
  set_state("saved");
  folder_.write("run/metrics.jsonl", "{\"event\": \"step\", \"step\": 45}\n");
  EXPECT_THAT(reasons(plan_prune(run_, {.keep_last = 1}, {}), 40),
              ElementsAre("resume point", "known to be good", "latest"));
  EXPECT_THAT(going(plan_prune(run_, {.keep_last = 1}, {})), ElementsAre("step-0000030", "step-0000010"));
  for (const char* line :
       {"{\"event\": \"step\", \"step\": 40}\n", "{\"event\": \"step\", \"step\": 45, \"skipped\": true}\n"}) {
    folder_.write("run/metrics.jsonl", line);
    EXPECT_THAT(going(plan_prune(run_, {.keep_last = 1}, {})), ElementsAre("step-0000010")) << line;
  }
}

TEST_F(Prune, WithoutACheckpointToResumeFromNothingGoes) {
  write_four();
  for (const int64_t step : {10, 20, 30, 40}) drop_optimizer(checkpoint(step));
  set_state("saved");
  EXPECT_THAT(plan_prune(run_, {}, {}).untouched, HasSubstr("no checkpoint to resume from"));
}

TEST_F(Prune, TheOptimizersOfAFinishedRunGoWhenAsked) {
  write_four();
  const PruneRules rules{.keep_last = 1, .optimizer = true};
  set_state("saved");
  for (const PruneEntry& entry : plan_prune(run_, rules, {}).entries) EXPECT_EQ(entry.optimizer_bytes, 0);
  set_state("finished");
  carry_out_now(rules);
  for (const int64_t step : {20, 40}) {
    EXPECT_THAT(verify_checkpoint(checkpoint(step)), IsEmpty());
    EXPECT_FALSE(read_manifest(checkpoint(step)).has_optimizer());
  }
  EXPECT_FALSE(plan_prune(run_, rules, {}).removes_anything());
}

TEST_F(Prune, LeftoversGoAndWhatWasSetAsideStaysUnlessAsked) {
  write_four();
  folder_.write("run/checkpoints/step-0000050.tmp/model.h5", "half");
  folder_.write("run/checkpoints/step-0000007.1234.tmp/model.h5", "half");  // of a prune that was killed
  folder_.write("run/checkpoints/step-0000005.damaged/model.h5", "x");
  folder_.write("run/checkpoints/step-0000006.diverged-2/model.h5", "x");
  folder_.write("run/metrics.jsonl.before", "{}");
  PruneRules rules{.keep_last = 4};
  EXPECT_THAT(going(plan_prune(run_, rules, {})), ElementsAre("step-0000007.1234.tmp", "step-0000050.tmp"));
  rules.set_aside = true;
  carry_out_now(rules);
  EXPECT_EQ(names_in(run_.checkpoints()), "best latest step-0000010 step-0000020 step-0000030 step-0000040");
  EXPECT_FALSE(fs::exists(run_.metrics() + ".before"));
}

// A training that starts sweeps away what a prune is about to delete.
TEST_F(Prune, TwoMayRemoveTheSame) {
  for (int round = 0; round < 200; ++round) {
    const std::string doomed = path("step-0000001.1.tmp");
    for (const char* name : {"a", "b", "c", "d", "e"}) folder_.write("step-0000001.1.tmp/" + std::string(name), "x");
    std::latch both(2);
    std::jthread other([&] {
      both.arrive_and_wait();
      EXPECT_NO_THROW(remove_whole(doomed));
    });
    both.arrive_and_wait();
    EXPECT_NO_THROW(remove_whole(doomed));
    other.join();
    EXPECT_FALSE(fs::exists(doomed));
  }
}

TEST_F(Prune, ARunWhoseProcessIsGoneCanBePruned) {
  write_four();
  RunState state;
  state.state = "running";
  write_run_state(run_, state);
  std::string text = read_file(run_.state());
  const std::string own = "\"pid\": " + std::to_string(getpid()),
                    other = "\"pid\": " + std::to_string(ended_process().pid);
  text.replace(text.find(own), own.size(), other);
  write_file_atomically(run_.state(), text);
  EXPECT_EQ(plan_prune(run_, {}, {}).state, "lost");
  carry_out_now({.keep_last = 1});
  EXPECT_EQ(names_in(run_.checkpoints()), "best latest step-0000020 step-0000030 step-0000040");
}

}  // namespace
}  // namespace hyperx::train

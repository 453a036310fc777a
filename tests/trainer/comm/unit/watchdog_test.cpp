// The watchdog ends the process, so each end is that of a child.
#include "trainer/comm/watchdog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <thread>

#include "model/comm/local_communicator.h"
#include "model/comm/thread_ranks.h"
#include "tests/support/folder.h"

namespace hyperx::comm {
namespace {

using namespace std::chrono_literals;

// Of one section; the others get an hour.
WatchdogOptions limit_of(const std::string& section, std::chrono::milliseconds limit) {
  WatchdogOptions options;
  options.limits = {1h, 1h, 1h, 1h};
  (section == "start"        ? options.limits.start
   : section == "step"       ? options.limits.step
   : section == "checkpoint" ? options.limits.checkpoint
                             : options.limits.evaluation) = limit;
  return options;
}

// Nothing more happens in this section.
void hang_in(const std::string& section, const WatchdogOptions& options, const RankInfo& info = {}) {
  RankProgress progress;
  Watchdog watchdog(info, progress, options);
  const Section inside = watchdog.enter(section, 7);
  std::this_thread::sleep_for(20s);
}

class WatchdogTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "fast"); }
};

TEST_F(WatchdogTest, EndsTheProcessAfterTheSectionsLimit) {
  for (const char* section : {"start", "step", "checkpoint", "evaluation"})
    EXPECT_EXIT(hang_in(section, limit_of(section, 20ms)), testing::ExitedWithCode(74),
                std::string("rank 0 on host localhost: no progress in section ") + section + " for 0 s at step 7");
}

TEST_F(WatchdogTest, TellsWhoFailedAndEndsWithTheCodeAskedFor) {
  WatchdogOptions options = limit_of("step", 20ms);
  options.exit_code = 70;
  options.on_failure = [](const FailureReport& report) {
    std::fprintf(stderr, "<%d %s %s %ld %d>", report.rank, report.host.c_str(), report.section.c_str(),
                 static_cast<long>(report.step), report.exit_code);
  };
  EXPECT_EXIT(hang_in("step", options, {1, 2, 1, 2, {"a", "b"}, "job"}), testing::ExitedWithCode(70),
              "<1 b step 7 70>");
}

TEST_F(WatchdogTest, AFailureThatCannotBeRecordedEndsItTheSame) {
  WatchdogOptions options = limit_of("step", 20ms);
  options.on_failure = [](const FailureReport&) { throw std::runtime_error("the disk is full"); };
  EXPECT_EXIT(hang_in("step", options), testing::ExitedWithCode(74), "could not be recorded: the disk is full");
}

// Before on_failure is called, so that this may look at what hangs.
TEST_F(WatchdogTest, TheCommunicatorIsToldToGiveUp) {
  const auto hang = [] {
    ThreadRanks ranks(2);
    const std::unique_ptr<Communicator> communicator = ranks.communicator(0);
    WatchdogOptions options = limit_of("step", 100ms);
    options.on_failure = [&](const FailureReport&) { communicator->barrier(); };
    RankProgress progress;
    Watchdog watchdog(communicator->info(), progress, options);
    watchdog.watch(communicator.get());
    const Section inside = watchdog.enter("step", 7);
    std::this_thread::sleep_for(20s);
  };
  EXPECT_EXIT(hang(), testing::ExitedWithCode(74), "waits in barrier in vain: rank 0 gave up");
}

TEST_F(WatchdogTest, NamesTheRankThatTheOthersWaitFor) {
  const test::TemporaryFolder folder;
  WatchdogOptions options = limit_of("step", 20ms);
  options.folder = folder.path();
  const RankInfo info{0, 2, 0, 2, {"near", "far"}, "job"};
  RankState other{.job = "job", .rank = 1, .host = "far", .section = "step", .step = 6};
  other.collective = 0;
  other.collective_name = "none";
  other.written_seconds = time(nullptr);
  ASSERT_TRUE(RankFiles(folder.path(), {1, 2, 1, 2, {"near", "far"}, "job"}).publish(other));
  const auto hang = [&] {
    LocalCommunicator communicator;  // one call ahead of the other rank
    communicator.barrier();
    RankProgress progress;
    Watchdog watchdog(info, progress, options);
    watchdog.watch(&communicator);
    const Section inside = watchdog.enter("step", 7);
    std::this_thread::sleep_for(20s);
  };
  EXPECT_EXIT(hang(), testing::ExitedWithCode(74),
              "no progress in section step .*at barrier no. 1, wait for rank 1 on far .section step, step 6");
}

// In each of two trainings in one folder, whose ranks are threads of one process.
TEST_F(WatchdogTest, OneOfRanksThatAreThreadsClaimsTheReport) {
  WatchdogOptions options = limit_of("step", 1h);
  const test::TemporaryFolder folder;
  options.folder = folder.path();
  for (int training = 0; training < 2; ++training) {
    std::atomic<int> claims = 0;
    ThreadRanks(4).run([&](Communicator& ranks) {
      RankProgress progress;
      const Watchdog watchdog(ranks.info(), progress, options);
      ranks.barrier();
      if (watchdog.claim_report()) ++claims;
      ranks.barrier();
    });
    EXPECT_EQ(claims, 1) << training;
  }
}

// As by `scontrol suspend`: for much longer than the limit, and the process itself sees only that time has passed.
TEST_F(WatchdogTest, TimeInWhichTheProcessWasStoppedDoesNotCount) {
  const auto be_stopped = [] {
    RankProgress progress;
    Watchdog watchdog({}, progress, limit_of("step", 1200ms));
    const Section inside = watchdog.enter("step", 7);
    if (fork() == 0) {
      std::this_thread::sleep_for(2s);
      kill(getppid(), SIGCONT);
      _exit(0);
    }
    std::this_thread::sleep_for(100ms);
    raise(SIGSTOP);
    std::this_thread::sleep_for(600ms);
    _exit(0);
  };
  EXPECT_EXIT(be_stopped(), testing::ExitedWithCode(0), "");
}

// Twice the limit in all, and none of it without a sign of life for long.
TEST_F(WatchdogTest, ABeatStartsTheLimitAnew) {
  RankProgress progress;
  Watchdog watchdog({}, progress, limit_of("evaluation", 400ms));
  const Section inside = watchdog.enter("evaluation", 3);
  const auto begin = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - begin < 800ms) {
    std::this_thread::sleep_for(5ms);
    watchdog.beat();
  }
}

TEST_F(WatchdogTest, ASectionThatIsLeftIsNotWatchedAnyMore) {
  RankProgress progress;
  Watchdog watchdog({}, progress, limit_of("checkpoint", 300ms));
  {
    const Section step = watchdog.enter("step", 5);
    { const Section inside = watchdog.enter("checkpoint", 5); }
    std::this_thread::sleep_for(600ms);
    EXPECT_EQ(progress.now().section, "step");
  }
  EXPECT_EQ(progress.now().section, "start");
}

TEST_F(WatchdogTest, KnowsOnlyItsSections) { EXPECT_DEATH(hang_in("lunch", {}), "no section 'lunch'"); }

TEST_F(WatchdogTest, LimitsAreThoseOfTheConfiguration) {
  ParallelConfig config;
  config.start_limit_seconds = 1;
  config.step_limit_seconds = 2;
  config.checkpoint_limit_seconds = 3;
  config.evaluation_limit_seconds = 4;
  const SectionLimits limits = SectionLimits::of(config);
  EXPECT_EQ(limits.of("start"), 1s);
  EXPECT_EQ(limits.of("step"), 2s);
  EXPECT_EQ(limits.of("checkpoint"), 3s);
  EXPECT_EQ(limits.of("evaluation"), 4s);
  EXPECT_EQ(limits.shortest(), 1s);
}

TEST_F(WatchdogTest, TheLimitOfAStepFollowsFromTheStepsMeasured) {
  const SectionLimits limits = SectionLimits::of(ParallelConfig());
  EXPECT_EQ(limits.of("step"), 300s);
  EXPECT_EQ(limits.of("step", 10ms), 60s);
  EXPECT_EQ(limits.of("step", 45s), 900s);
  EXPECT_EQ(limits.shortest(), 60s);
  ParallelConfig given;
  given.step_limit_seconds = 30;
  EXPECT_EQ(SectionLimits::of(given).of("step", 45s), 30s);
}

}  // namespace
}  // namespace hyperx::comm

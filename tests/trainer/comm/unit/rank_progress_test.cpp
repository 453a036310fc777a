#include "trainer/comm/rank_progress.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

namespace hyperx::comm {
namespace {

TEST(RankProgress, SectionsNest) {
  RankProgress progress;
  EXPECT_EQ(progress.now().section, "start");
  EXPECT_EQ(progress.now().step, -1);
  {
    const Section step(progress, "step", 5);
    EXPECT_EQ(progress.now().section, "step");
    {
      const Section checkpoint(progress, "checkpoint", 5);
      EXPECT_EQ(progress.now().section, "checkpoint");
    }
    EXPECT_EQ(progress.now().section, "step");
  }
  EXPECT_EQ(progress.now().section, "start");
  EXPECT_EQ(progress.now().step, 5);  // the latest, for a report between two steps
}

TEST(RankProgress, LimitsStartAnew) {
  RankProgress progress;
  const auto before = RankProgress::Clock::now();
  const Section step(progress, "step", 1);
  const auto entered = progress.now().since;
  EXPECT_GE(entered, before);
  progress.beat();
  EXPECT_GT(progress.now().since, entered);
}

TEST(RankProgress, MeasuresStepsWithoutWhatIsInsideThem) {
  RankProgress progress;
  for (int64_t step = 0; step < RankProgress::kStepsMeasured; ++step) {
    EXPECT_FALSE(progress.step_time().has_value());
    const Section section(progress, "step", step);
    if (step != 3) continue;
    const Section evaluation(progress, "evaluation", step);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  ASSERT_TRUE(progress.step_time().has_value());
  EXPECT_LT(*progress.step_time(), std::chrono::milliseconds(200) / RankProgress::kStepsMeasured);
}

TEST(RankProgress, RemembersWhereAnExceptionCameFrom) {
  RankProgress progress;
  try {
    const Section step(progress, "step", 8);
    const Section evaluation(progress, "evaluation", 8);
    throw std::runtime_error("lost");
  } catch (const std::runtime_error&) {
    EXPECT_EQ(progress.now().section, "start");
    EXPECT_EQ(progress.failure().section, "evaluation");
    EXPECT_EQ(progress.failure().step, 8);
  }
  const Section next(progress, "checkpoint", 9);  // it was dealt with: a later failure is somewhere else
  EXPECT_EQ(progress.failure().section, "checkpoint");
}

}  // namespace
}  // namespace hyperx::comm

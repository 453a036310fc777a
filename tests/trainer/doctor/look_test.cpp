#include <gmock/gmock.h>

#include "tests/support/folder.h"
#include "trainer/doctor/disk_trial.h"

namespace hyperx::doctor {
namespace {

namespace fs = std::filesystem;

TEST(DoctorLook, SeesThisMachine) {
  const RankFacts facts = look_around();
  EXPECT_FALSE(facts.host.empty());
  EXPECT_GE(facts.cores.size(), 1);
  EXPECT_GE(facts.online_cores, static_cast<int>(facts.cores.size()));
  EXPECT_GT(facts.usable_memory, 0);
  EXPECT_LE(facts.usable_memory, facts.host_memory);
}

TEST(DoctorLook, TriesAFolderAndLeavesNothing) {
  const test::TemporaryFolder folder;
  {
    const DiskTrial first(folder.path(), "job", true), other(folder.path(), "job", false);
    for (const DiskTrial* trial : {&first, &other}) {
      const DiskFacts facts = trial->try_disk(1 << 20);
      EXPECT_EQ(facts.problem, "");
      EXPECT_GT(facts.free_bytes, 0);
      EXPECT_GT(facts.write_bytes_per_second, 0);
      EXPECT_GT(facts.sync_seconds, 0);
      EXPECT_TRUE(facts.sees_first_host && facts.sees_flock && facts.sees_record_lock);
    }
    EXPECT_TRUE(first.try_disk(1 << 20).flock_works);
  }
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(DoctorLook, AFolderThatOnlyOneHostSees) {
  const test::TemporaryFolder one, other;
  const DiskTrial first(one.path(), "job", true);
  EXPECT_FALSE(DiskTrial(other.path(), "job", false).try_disk(1 << 20).sees_first_host);
}

TEST(DoctorLook, AFolderThatIsMissing) {
  const test::TemporaryFolder folder;
  const DiskTrial trial(folder.path("missing"), "job", true);
  EXPECT_THAT(trial.try_disk(1 << 20).problem, testing::HasSubstr("no such folder"));
}

}  // namespace
}  // namespace hyperx::doctor

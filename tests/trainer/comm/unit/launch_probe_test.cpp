#include "trainer/comm/launch_probe.h"

#include <gmock/gmock.h>

#include <map>

#include "common/errors.h"
#include "tests/support/errors.h"

namespace hyperx::comm {
namespace {

using testing::HasSubstr;

LaunchProbe probe(const std::map<std::string, std::string>& variables) {
  return probe_launch([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

std::string refusal(const LaunchProbe& probed, int mpi_size) {
  return test::message_of(ExitCode::kUsage, [&] { check_launch(probed, mpi_size); });
}

TEST(LaunchProbe, AProcessOnItsOwn) {
  const LaunchProbe alone = probe({{"HOME", "/home/user"}});
  EXPECT_FALSE(alone.process_manager);
  EXPECT_EQ(refusal(alone, 1), "");
}

TEST(LaunchProbe, Mpirun) {
  const LaunchProbe four = probe({{"OMPI_COMM_WORLD_SIZE", "4"}, {"PMIX_RANK", "0"}});
  EXPECT_TRUE(four.process_manager);
  EXPECT_EQ(refusal(four, 4), "");
  EXPECT_THAT(refusal(four, 1), HasSubstr("OMPI_COMM_WORLD_SIZE=4, but MPI sees one process"));
}

TEST(LaunchProbe, MpirunOfAnotherLibrary) {
  const LaunchProbe other = probe({{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}});
  EXPECT_TRUE(other.process_manager);
  EXPECT_THAT(refusal(other, 1), HasSubstr("Start with the mpirun of the MPI library"));
}

TEST(LaunchProbe, SrunWithoutPmixNamesTheWayOut) {
  const LaunchProbe step = probe({{"SLURM_NTASKS", "8"}, {"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_PROCID", "2"}});
  EXPECT_FALSE(step.process_manager);
  EXPECT_THAT(refusal(step, 1), HasSubstr("SLURM_STEP_NUM_TASKS=4, but MPI sees one process"));
  EXPECT_THAT(refusal(step, 1), HasSubstr("srun --mpi=pmix"));
  EXPECT_THAT(refusal(probe({{"SLURM_NTASKS", "8"}}), 1), HasSubstr("SLURM_NTASKS=8"));
}

TEST(LaunchProbe, AnyOtherNumberOfRanksIsRefused) {
  const LaunchProbe four = probe({{"SLURM_STEP_NUM_TASKS", "4"}, {"PMIX_RANK", "0"}});
  EXPECT_EQ(refusal(four, 4), "");
  EXPECT_THAT(refusal(four, 2), HasSubstr("SLURM_STEP_NUM_TASKS=4, but MPI sees 2 processes"));
  EXPECT_THAT(refusal(probe({{"SLURM_STEP_NUM_TASKS", "1"}}), 2), HasSubstr("but MPI sees 2 processes"));
}

TEST(LaunchProbe, OneRankInALargerAllocation) {
  EXPECT_EQ(refusal(probe({{"SLURM_NTASKS", "8"}, {"OMPI_COMM_WORLD_SIZE", "1"}}), 1), "");
  EXPECT_EQ(refusal(probe({{"SLURM_NTASKS", "8"}, {"SLURM_STEP_NUM_TASKS", "1"}}), 1), "");
}

}  // namespace
}  // namespace hyperx::comm

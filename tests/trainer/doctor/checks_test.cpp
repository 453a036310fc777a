#include "trainer/doctor/checks.h"

#include <gmock/gmock.h>

namespace hyperx::doctor {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

// A job that is well: two hosts, two ranks each, bound to two of four cores.
JobFacts healthy() {
  JobFacts job;
  job.launched = true;
  job.expected_ranks = 4;
  job.expected_from = "OMPI_COMM_WORLD_SIZE";
  job.backend = "mpi";
  job.folder = "runs";
  for (int rank = 0; rank < 4; ++rank) {
    RankFacts facts;
    facts.rank = rank;
    facts.local_rank = rank % 2;
    facts.local_size = 2;
    facts.host = rank < 2 ? "node1" : "node2";
    facts.online_cores = 4;
    facts.cores = rank % 2 == 0 ? std::vector<int>{0, 1} : std::vector<int>{2, 3};
    facts.host_memory = facts.usable_memory = 64'000'000'000;
    facts.open_files = 4096;
    facts.shm_free = 32'000'000'000;
    facts.shm_writable = true;
    facts.versions = {{"hyperx", "1"}, {"HDF5", "1.10.8"}};
    if (facts.local_rank == 0) {
      DiskFacts disk;
      disk.free_bytes = 100'000'000'000;
      disk.write_bytes_per_second = 1e9;
      disk.sync_seconds = 0.001;
      disk.flock_works = disk.record_lock_works = disk.exchange_works = true;
      facts.disk = disk;
    }
    job.ranks.push_back(facts);
  }
  job.reduces = {{1 << 20, 0.001}, {256 << 20, 0.1}};
  job.links = {{0, 1, 5e9}, {1, 2, 1e9}, {2, 3, 5e9}};
  return job;
}

testing::Matcher<Findings> all_ok() { return Each(Field(&Finding::level, Level::kOk)); }
// One of the findings has this level, says `found` and gives advice that contains `advice`.
testing::Matcher<Findings> finds(Level level, const std::string& found, const std::string& advice = "") {
  return Contains(AllOf(Field(&Finding::level, level), Field(&Finding::found, HasSubstr(found)),
                        Field(&Finding::advice, HasSubstr(advice))));
}

TEST(DoctorChecks, AHealthyJobHasOnlyOk) {
  const Findings all = check_all(healthy());
  EXPECT_THAT(all, all_ok());
  EXPECT_THAT(all, Each(Field(&Finding::advice, "")));
  EXPECT_THAT(all, finds(Level::kOk, "4 ranks on 2 hosts"));
  EXPECT_THAT(all, finds(Level::kOk, "node1, node2: 32.0 GB free"));
}

TEST(DoctorChecks, TheLauncherStartedOthersThanMpiSees) {
  JobFacts job = healthy();
  job.ranks.resize(1);
  EXPECT_THAT(check_world(job), finds(Level::kWrong, "OMPI_COMM_WORLD_SIZE=4, but MPI sees 1 rank", "mpirun"));
  job.expected_from = "SLURM_NTASKS";
  EXPECT_THAT(check_world(job), finds(Level::kWrong, "each would train alone", "srun --mpi=pmix"));
  job = healthy();
  job.ranks.pop_back();
  job.expected_ranks = 3;
  EXPECT_THAT(check_world(job), finds(Level::kWarning, "between 1 and 2 on a host"));
  job.launched = false;
  job.expected_ranks = 1;
  job.ranks.resize(1);
  EXPECT_THAT(check_world(job), finds(Level::kOk, "without a launcher"));
}

TEST(DoctorChecks, OneHostHasAnotherLibrary) {
  JobFacts job = healthy();
  job.ranks[2].versions["HDF5"] = job.ranks[3].versions["HDF5"] = "1.12.2";
  EXPECT_THAT(check_versions(job),
              ElementsAre(AllOf(Field(&Finding::level, Level::kWrong),
                                Field(&Finding::found, HasSubstr("HDF5 is 1.10.8 on node1 and 1.12.2 "
                                                                 "on node2 (rank 2)")))));
}

TEST(DoctorChecks, RanksThatShareCores) {
  JobFacts job = healthy();
  for (RankFacts& rank : job.ranks) rank.cores = {0, 1, 2, 3};
  EXPECT_THAT(check_cores(job), all_ok());  // unbound: they divide the cores
  for (RankFacts& rank : job.ranks) rank.online_cores = 16;
  EXPECT_THAT(check_cores(job),
              finds(Level::kWarning, "node1: ranks 0 and 1 may use the same cores, 0-3", "--threads 2"));
  job.ranks[1].cores = {3, 4, 5};
  EXPECT_THAT(check_cores(job), finds(Level::kWarning, "ranks 0 and 1 share cores (0-3 and 3-5)"));
  job.ranks[0].cores = {0};
  job.ranks[1].cores = {1};
  EXPECT_THAT(check_cores(job), finds(Level::kWarning, "bound to one of 16 cores", "--bind-to none"));
  for (RankFacts& rank : job.ranks) {
    rank.online_cores = 1;
    rank.cores = {0};
  }
  EXPECT_THAT(check_cores(job), finds(Level::kWarning, "2 ranks share 1 cores"));
}

TEST(DoctorChecks, Gpus) {
  JobFacts job = healthy();
  EXPECT_THAT(check_gpus(job), finds(Level::kOk, "no GPU"));
  for (RankFacts& rank : job.ranks) rank.gpu.hardware = true;
  EXPECT_THAT(check_gpus(job), finds(Level::kWarning, "built without CUDA"));
  for (RankFacts& rank : job.ranks) {
    rank.gpu.built_with_cuda = true;
    rank.gpu.built_cuda = 13000;
    rank.gpu.driver_cuda = 12040;
    rank.gpu.reason = "driver too old";
  }
  EXPECT_THAT(check_gpus(job), finds(Level::kWrong, "the driver knows CUDA 12.4, hyperx was built with 13.0"));
  for (RankFacts& rank : job.ranks) rank.gpu.driver_cuda = 13000;
  EXPECT_THAT(check_gpus(job), finds(Level::kWrong, "cannot be used: driver too old"));
  for (RankFacts& rank : job.ranks) {
    rank.gpu.usable = 2;
    rank.gpu.bus = "0000:0" + std::to_string(rank.local_rank);
  }
  EXPECT_THAT(check_gpus(job), all_ok());
  job.ranks[3].gpu.bus = job.ranks[2].gpu.bus;
  EXPECT_THAT(check_gpus(job), finds(Level::kWrong, "node2: ranks 2 and 3 are on the same GPU"));
  job.ranks[2].gpu.usable = job.ranks[3].gpu.usable = 8;
  EXPECT_THAT(check_gpus(job), finds(Level::kWarning, "hosts see between 2 and 8 GPUs"));
}

TEST(DoctorChecks, SharedMemory) {
  JobFacts job = healthy();
  job.ranks[2].shm_free = 64'000'000;
  EXPECT_THAT(check_shared_memory(job), finds(Level::kWarning, "node2: 64.0 MB free for 2 ranks", "--shm-size"));
  job.ranks[0].shm_writable = false;
  EXPECT_THAT(check_shared_memory(job), finds(Level::kWrong, "node1: is missing or cannot be written"));
}

TEST(DoctorChecks, MemoryAndLimits) {
  JobFacts job = healthy();
  job.ranks[0].address_limit = 8'000'000'000;
  job.ranks[2].usable_memory = 1'000'000'000;
  job.ranks[2].open_files = 256;
  const Findings findings = check_memory(job);
  EXPECT_THAT(findings, finds(Level::kWarning, "ulimit -v is 8.00 GB", "ulimit -v unlimited"));
  EXPECT_THAT(findings, finds(Level::kWarning, "node2: 1.00 GB of 64.0 GB may be used, 500 MB per rank", "--mem"));
  EXPECT_THAT(findings, finds(Level::kWarning, "node2: at most 256", "ulimit -n"));
}

TEST(DoctorChecks, TheDisk) {
  JobFacts job = healthy();
  DiskFacts& first = *job.ranks[0].disk;
  DiskFacts& second = *job.ranks[2].disk;
  second.sees_first_host = false;
  EXPECT_THAT(check_disk(job), finds(Level::kWrong, "node2: runs is not the folder that rank 0 sees"));
  second.problem = "runs: read-only";
  EXPECT_THAT(check_disk(job), finds(Level::kWrong, "node2: runs: read-only"));
  first.write_bytes_per_second = 1e6;
  EXPECT_THAT(check_disk(job), finds(Level::kWarning, "writes 1.00 MB/s"));
  first.free_bytes = 500'000'000;
  EXPECT_THAT(check_disk(job), finds(Level::kWarning, "500 MB free", "hyperx prune"));
  first.free_bytes = 1'000'000;
  EXPECT_THAT(check_disk(job), finds(Level::kWrong, "1.00 MB free"));
}

TEST(DoctorChecks, Locks) {
  JobFacts job = healthy();
  job.ranks[2].disk->sees_flock = false;
  job.ranks[0].disk->exchange_works = false;
  EXPECT_THAT(check_locks(job), finds(Level::kWarning, "node2: does not see the flock", "120 s"));
  EXPECT_THAT(check_locks(job), finds(Level::kOk, "renames twice"));
  job.ranks[0].disk->flock_works = false;
  EXPECT_THAT(check_locks(job), finds(Level::kWarning, "node1: flock does not work"));
  job.ranks[0].disk->problem = "not writable";  // check_disk() says so
  job.ranks[2].disk->problem = "not writable";
  EXPECT_THAT(check_locks(job), IsEmpty());
}

TEST(DoctorChecks, Clocks) {
  JobFacts job = healthy();
  job.ranks[2].clock_offset = -2;
  job.ranks[2].clock_error = 0.001;
  EXPECT_THAT(check_clocks(job),
              finds(Level::kWarning, "the clock of node2 is 2.000 s behind that of node1", "chronyd"));
  job.ranks[2].clock_offset = 3600;
  EXPECT_THAT(check_clocks(job), finds(Level::kWrong, "3600.000 s ahead of that of node1"));
  job.ranks[2].clock_error = 3600;  // too slow a network to tell
  EXPECT_THAT(check_clocks(job), all_ok());
}

TEST(DoctorChecks, BusBandwidthIsThatOfNcclTests) {
  EXPECT_DOUBLE_EQ((ReduceSpeed{1'000'000, 0.001}).bus_bytes_per_second(4), 1.5e9);
  EXPECT_DOUBLE_EQ((ReduceSpeed{1'000'000, 0.001}).bus_bytes_per_second(1), 0);
}

TEST(DoctorChecks, ASlowLinkAndASlowGpuMachine) {
  JobFacts job = healthy();
  EXPECT_THAT(check_speed(job), all_ok());
  job.links[2].bytes_per_second = 1e9;
  EXPECT_THAT(check_speed(job), finds(Level::kWarning, "rank 2 on node2 and rank 3 on node2: 1.00 GB/s"));
  job.reduce_problem = "NCCL: unhandled system error";
  EXPECT_THAT(check_speed(job), finds(Level::kWrong, "unhandled system error", "NCCL_DEBUG"));

  JobFacts gpus;
  gpus.backend = "nccl";
  for (int rank = 0; rank < 8; ++rank) {
    RankFacts facts;
    facts.rank = rank;
    facts.host = "node1";
    facts.gpu.name = "NVIDIA H100 80GB HBM3";
    gpus.ranks.push_back(facts);
  }
  gpus.reduces = {{256 << 20, 0.0013}};  // 361 GB/s
  EXPECT_THAT(check_speed(gpus), all_ok());
  gpus.reduces = {{256 << 20, 0.0026}};
  EXPECT_THAT(check_speed(gpus), finds(Level::kWarning, "8 of H100 80GB HBM3 have 370 GB/s", "NVLink"));
}

TEST(DoctorFacts, AreTheSameAfterJson) {
  RankFacts facts = healthy().ranks[0];
  facts.gpu = {true, true, 2, "none", 13000, 13000, "H100", "0000:01"};
  facts.clock_offset = 0.25;
  EXPECT_EQ(RankFacts::from_json(facts.to_json()).to_json(), facts.to_json());
  facts.disk.reset();
  EXPECT_FALSE(RankFacts::from_json(facts.to_json()).disk.has_value());
}

}  // namespace
}  // namespace hyperx::doctor

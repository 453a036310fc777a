#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

// What the ranks of a job know, before anything is judged. Sizes in bytes; -1: unknown or no limit.
namespace hyperx::doctor {

// The folder in which runs will lie, as one host sees it.
struct DiskFacts {
  std::string problem;  // why nothing could be tried; empty: all below is known
  int64_t free_bytes = -1;
  double write_bytes_per_second = 0;  // of one large file, with fsync
  double sync_seconds = 0;            // of a small file with fsync, the median
  bool flock_works = false;           // a second flock() of the same file is refused
  bool record_lock_works = false;     // the same of fcntl() locks
  bool exchange_works = false;        // two names can be exchanged
  bool sees_first_host = true;        // it sees the file that the first host wrote
  bool sees_flock = true;             // flock() of the file that the first host has locked is refused
  bool sees_record_lock = true;       // the same of fcntl() locks
};

struct GpuFacts {
  bool built_with_cuda = false, hardware = false;
  int usable = 0;
  std::string reason;                   // why hardware is not usable
  int driver_cuda = 0, built_cuda = 0;  // as CUDA writes versions: 13000 is 13.0; 0: unknown
  std::string name, bus;                // of the GPU that this rank takes; empty: none
};

struct RankFacts {
  int rank = 0, local_rank = 0, local_size = 1;
  std::string host;
  std::vector<int> cores;  // that this process may use
  int online_cores = 1;    // of the host
  GpuFacts gpu;
  int64_t address_limit = -1;                    // ulimit -v
  int64_t host_memory = -1, usable_memory = -1;  // usable: with the limits of control group and ulimit
  int64_t open_files = -1;                       // ulimit -n
  int64_t shm_free = -1;                         // in /dev/shm
  bool shm_writable = false;
  std::map<std::string, std::string> versions;  // of program and libraries: must be equal on all ranks
  std::optional<DiskFacts> disk;                // of each host's first rank
  double clock_offset = 0, clock_error = 0;     // seconds that the host's clock is ahead of rank 0's; the uncertainty

  nlohmann::json to_json() const;
  static RankFacts from_json(const nlohmann::json& object);  // of to_json()
};

// One all-reduce of `bytes` by all ranks, the mean of several.
struct ReduceSpeed {
  int64_t bytes = 0;
  double seconds = 0;
  // Bytes per second that each rank's link carries: 2 (n-1)/n bytes / seconds, as nccl-tests define it.
  double bus_bytes_per_second(int ranks) const;
};

// Messages between two neighbouring ranks, both ways at once.
struct LinkSpeed {
  int from = 0, to = 0;
  double bytes_per_second = 0;  // one way
};

struct JobFacts {
  bool launched = false;      // by mpirun or srun
  int expected_ranks = 1;     // that the launcher says it has started
  std::string expected_from;  // the variable that says so
  std::string backend;        // "local", "mpi", "nccl"
  std::string folder;         // that the disk was tried in
  std::vector<RankFacts> ranks;
  std::string reduce_problem;  // why no all-reduce could be measured; empty: it could, or there is one rank
  std::vector<ReduceSpeed> reduces;
  std::vector<LinkSpeed> links;
};

// What this process sees of itself and its host. GPU, disk and clock are left to others.
RankFacts look_around();

}  // namespace hyperx::doctor

#include <algorithm>
#include <cmath>
#include <set>

#include "common/log.h"
#include "common/progress.h"
#include "trainer/doctor/checks.h"

// Checks of each host: memory, limits, the folder of the runs, the clock.
namespace hyperx::doctor {

namespace {

constexpr int64_t kSharedMemoryOfRank = 64'000'000;  // Docker gives a container 64 MB in all: too little for several
constexpr int64_t kMemoryOfRank = 2'000'000'000;
constexpr int64_t kOpenFiles = 1024;
constexpr int64_t kFewBytes = 1'000'000'000, kNoBytes = 50'000'000;
constexpr double kSlowDisk = 50e6;   // bytes per second
constexpr double kSlowSync = 0.25;   // seconds
constexpr double kClockWarning = 1;  // seconds; run folders record whole ones
constexpr double kClockWrong = 60;   // `status` counts a run as lost after 600 s without a sign of life

std::string bytes_text(int64_t bytes) { return format_bytes(static_cast<double>(bytes)); }

// Calls `check` for the first rank of each host.
template <class Check>
Findings of_hosts(const JobFacts& job, const Check& check) {
  Findings findings;
  std::set<std::string> seen;
  for (const RankFacts& rank : job.ranks)
    if (seen.insert(rank.host).second) findings.push_back(check(rank));
  return findings;
}

Finding disk_of(const RankFacts& rank, const std::string& folder) {
  if (!rank.disk) return {Level::kWarning, "disk", rank.host + ": was not tried", "run doctor again"};
  const DiskFacts& disk = *rank.disk;
  if (!disk.problem.empty())
    return {Level::kWrong, "disk", rank.host + ": " + disk.problem,
            "name a folder that can be written: hyperx doctor FOLDER"};
  if (!disk.sees_first_host)
    return {Level::kWrong, "disk", fmt::format("{}: {} is not the folder that rank 0 sees", rank.host, folder),
            "put run folders and the corpus on a file system that all hosts share"};
  const std::string found =
      disk.write_bytes_per_second > 0
          ? fmt::format("{}: {} free, writes {}/s, a small file takes {:.1f} ms", rank.host,
                        bytes_text(disk.free_bytes), format_bytes(disk.write_bytes_per_second), 1e3 * disk.sync_seconds)
          : fmt::format("{}: {} free", rank.host, bytes_text(disk.free_bytes));
  if (disk.free_bytes < kNoBytes)
    return {Level::kWrong, "disk", found, "free some space (hyperx prune), or name another folder"};
  if (disk.free_bytes < kFewBytes)
    return {Level::kWarning, "disk", found, "free some space (hyperx prune): a checkpoint may not fit"};
  if (disk.write_bytes_per_second > 0 && disk.write_bytes_per_second < kSlowDisk)
    return {Level::kWarning, "disk", found,
            "checkpoints take long here; raise checkpoint.every, or take a faster disk"};
  if (disk.sync_seconds > kSlowSync)
    return {Level::kWarning, "disk", found, "the file system answers slowly: it may be overloaded"};
  return {Level::kOk, "disk", found, ""};
}

Findings locks_of(const RankFacts& rank, bool first) {
  const DiskFacts& disk = *rank.disk;
  const char* const advice =
      "nothing to do: RUN/lock keeps a second start out, but one from another host waits up to 120 s to be sure";
  if (first) {
    Findings findings;
    findings.push_back(disk.flock_works
                           ? Finding{Level::kOk, "locks", rank.host + ": flock works", ""}
                           : Finding{Level::kWarning, "locks", rank.host + ": flock does not work", advice});
    findings.push_back(disk.record_lock_works
                           ? Finding{Level::kOk, "locks", rank.host + ": fcntl locks work", ""}
                           : Finding{Level::kWarning, "locks", rank.host + ": fcntl locks do not work",
                                     "nothing to do: hyperx does not need them"});
    return findings;
  }
  Findings findings;
  findings.push_back(disk.sees_flock ? Finding{Level::kOk, "locks", rank.host + ": sees the flock of rank 0's host", ""}
                                     : Finding{Level::kWarning, "locks",
                                               rank.host + ": does not see the flock of rank 0's host", advice});
  if (!disk.sees_record_lock)
    findings.push_back({Level::kWarning, "locks", rank.host + ": does not see the fcntl locks of rank 0's host",
                        "nothing to do: hyperx does not need them"});
  return findings;
}

}  // namespace

Findings join_hosts(Findings findings) {
  Findings lines;
  std::map<std::pair<std::string, std::string>, size_t> places;
  for (Finding& finding : findings) {
    const size_t colon = finding.found.find(": ");
    const std::string host = finding.found.substr(0, colon);
    const auto [found, is_new] = places.emplace(std::pair(finding.check, finding.found.substr(colon)), lines.size());
    if (is_new)
      lines.push_back(std::move(finding));
    else
      lines[found->second].found.insert(lines[found->second].found.find(": "), ", " + host);
  }
  return lines;
}

Findings check_shared_memory(const JobFacts& job) {
  return join_hosts(of_hosts(job, [&](const RankFacts& rank) -> Finding {
    if (!rank.shm_writable)
      return {Level::kWrong, "/dev/shm", rank.host + ": is missing or cannot be written",
              "mount it with mode 1777: MPI and NCCL send messages within a host through it"};
    const std::string found = fmt::format("{}: {} free", rank.host, bytes_text(rank.shm_free));
    if (rank.shm_free < kSharedMemoryOfRank * rank.local_size)
      return {Level::kWarning, "/dev/shm", fmt::format("{} for {} ranks", found, rank.local_size),
              "remove what killed jobs left there, or start the container with --shm-size=1g"};
    return {Level::kOk, "/dev/shm", found, ""};
  }));
}

Findings check_memory(const JobFacts& job) {
  Findings findings = join_hosts(of_hosts(job, [&](const RankFacts& rank) -> Finding {
    const int64_t share = rank.usable_memory / std::max(1, rank.local_size);
    std::string found = fmt::format("{}: {} of {} may be used, {} per rank", rank.host, bytes_text(rank.usable_memory),
                                    bytes_text(rank.host_memory), bytes_text(share));
    if (rank.address_limit >= 0)
      return {Level::kWarning, "memory", found + fmt::format("; ulimit -v is {}", bytes_text(rank.address_limit)),
              "remove the limit (ulimit -v unlimited): mapped corpora and CUDA reserve addresses, not memory"};
    if (share < kMemoryOfRank)
      return {Level::kWarning, "memory", found,
              "ask for more (--mem), or start fewer ranks; hyperx estimate tells how much a run needs"};
    return {Level::kOk, "memory", found, ""};
  }));
  for (Finding& finding : join_hosts(of_hosts(job, [&](const RankFacts& rank) -> Finding {
         if (rank.open_files >= 0 && rank.open_files < kOpenFiles)
           return {Level::kWarning, "open files", fmt::format("{}: at most {}", rank.host, rank.open_files),
                   "raise the limit: ulimit -n 4096"};
         return {
             Level::kOk, "open files",
             rank.open_files < 0 ? rank.host + ": no limit" : fmt::format("{}: at most {}", rank.host, rank.open_files),
             ""};
       })))
    findings.push_back(std::move(finding));
  return findings;
}

Findings check_disk(const JobFacts& job) {
  return join_hosts(of_hosts(job, [&](const RankFacts& rank) { return disk_of(rank, job.folder); }));
}

Findings check_locks(const JobFacts& job) {
  Findings findings;
  std::set<std::string> seen;
  for (const RankFacts& rank : job.ranks) {
    if (!seen.insert(rank.host).second || !rank.disk || !rank.disk->problem.empty() || !rank.disk->sees_first_host)
      continue;
    const bool first = seen.size() == 1;
    for (Finding& finding : locks_of(rank, first)) findings.push_back(std::move(finding));
    if (first)
      findings.push_back(
          {Level::kOk, "locks",
           rank.host + (rank.disk->exchange_works ? ": names can be exchanged"
                                                  : ": names cannot be exchanged; hyperx renames twice instead"),
           ""});
  }
  return join_hosts(std::move(findings));
}

Findings check_clocks(const JobFacts& job) {
  const auto ahead = [](const RankFacts& rank) { return std::abs(rank.clock_offset); };
  const RankFacts& worst = *std::max_element(job.ranks.begin(), job.ranks.end(),
                                             [&](const auto& a, const auto& b) { return ahead(a) < ahead(b); });
  std::set<std::string> hosts;
  for (const RankFacts& rank : job.ranks) hosts.insert(rank.host);
  if (hosts.size() < 2) return {};
  const std::string found =
      fmt::format("the clock of {} is {:.3f} s {} that of {} (± {:.3f} s)", worst.host, ahead(worst),
                  worst.clock_offset < 0 ? "behind" : "ahead of", job.ranks.front().host, worst.clock_error);
  const double sure = ahead(worst) - worst.clock_error;
  if (sure > kClockWrong)
    return {{Level::kWrong, "clocks", found, "synchronise the clocks (chronyd, ntpd): ages of runs are misjudged"}};
  if (sure > kClockWarning) return {{Level::kWarning, "clocks", found, "synchronise the clocks (chronyd, ntpd)"}};
  return {{Level::kOk, "clocks",
           fmt::format("the clocks of {} hosts agree within {:.3f} s", hosts.size(), ahead(worst) + worst.clock_error),
           ""}};
}

}  // namespace hyperx::doctor

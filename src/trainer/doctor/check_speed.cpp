#include <algorithm>

#include "common/log.h"
#include "common/progress.h"
#include "trainer/doctor/checks.h"

// Checks of messages between ranks.
namespace hyperx::doctor {

namespace {

constexpr double kSlowLink = 0.5;          // of the median of its kind
constexpr double kFarBelow = 0.8;          // of the expected speed: more than 20 % below is a fault
constexpr int64_t kLargeBytes = 64 << 20;  // below, the speed of a message says little about the links

// All-reduce bus bandwidth of healthy machines, as their owners publish it (nccl-tests#212, nccl#1161).
struct Expected {
  const char* gpu;  // part of the GPU's name
  int least_ranks;  // on one host
  double bytes_per_second;
};
constexpr Expected kExpected[] = {
    {"H100 80GB HBM3", 8, 370e9},
    {"H200", 8, 370e9},
    {"A100-SXM", 8, 230e9},
    {"H100 PCIe", 2, 35e9},
};

std::string speed_text(double bytes_per_second) { return format_bytes(bytes_per_second) + "/s"; }

const Expected* expected_of(const JobFacts& job) {
  const RankFacts& first = job.ranks.front();
  for (const RankFacts& rank : job.ranks)
    if (rank.host != first.host) return nullptr;
  if (job.backend != "nccl") return nullptr;
  for (const Expected& each : kExpected)
    if (std::ssize(job.ranks) >= each.least_ranks && first.gpu.name.find(each.gpu) != std::string::npos) return &each;
  return nullptr;
}

Finding finding_of(const ReduceSpeed& reduce, const JobFacts& job) {
  const double speed = reduce.bus_bytes_per_second(static_cast<int>(job.ranks.size()));
  const std::string found =
      fmt::format("{} by {} takes {:.2f} ms, bus bandwidth {}", format_bytes(static_cast<double>(reduce.bytes)),
                  job.backend, 1e3 * reduce.seconds, speed_text(speed));
  const Expected* const expected = expected_of(job);
  if (expected != nullptr && reduce.bytes >= kLargeBytes && speed < kFarBelow * expected->bytes_per_second)
    return {Level::kWarning, "all-reduce",
            fmt::format("{}; {} of {} have {}", found, job.ranks.size(), expected->gpu,
                        speed_text(expected->bytes_per_second)),
            "look at NCCL_DEBUG=INFO: is NVLink used? Are all links up (nvidia-smi nvlink -s)?"};
  return {Level::kOk, "all-reduce", found, ""};
}

Findings links_of(const JobFacts& job, bool between_hosts) {
  std::vector<LinkSpeed> links;
  for (const LinkSpeed& link : job.links)
    if ((job.ranks.at(link.from).host != job.ranks.at(link.to).host) == between_hosts) links.push_back(link);
  if (links.empty()) return {};
  std::sort(links.begin(), links.end(),
            [](const auto& a, const auto& b) { return a.bytes_per_second < b.bytes_per_second; });
  const double median = links[links.size() / 2].bytes_per_second;
  const char* const kind = between_hosts ? "between hosts" : "within a host";
  Findings findings;
  for (const LinkSpeed& link : links) {
    if (link.bytes_per_second >= kSlowLink * median) break;
    findings.push_back({Level::kWarning, "links",
                        fmt::format("rank {} on {} and rank {} on {}: {}, {} have {} {}", link.from,
                                    job.ranks.at(link.from).host, link.to, job.ranks.at(link.to).host,
                                    speed_text(link.bytes_per_second), "others", speed_text(median), kind),
                        "leave this host out (srun --exclude), and tell its owners"});
  }
  if (findings.empty())
    findings.push_back(
        {Level::kOk, "links",
         fmt::format("{}: {} of neighbouring ranks, {} to {} each way", kind, links.size(),
                     speed_text(links.front().bytes_per_second), speed_text(links.back().bytes_per_second)),
         ""});
  return findings;
}

}  // namespace

const char* level_word(Level level) {
  return level == Level::kOk ? "ok" : level == Level::kWarning ? "warning" : "wrong";
}

Findings check_speed(const JobFacts& job) {
  Findings findings;
  if (!job.reduce_problem.empty())
    findings.push_back({Level::kWrong, "all-reduce", job.reduce_problem,
                        "with NCCL, NCCL_DEBUG=INFO tells more; NCCL_SOCKET_IFNAME names the network to use"});
  for (const ReduceSpeed& reduce : job.reduces) findings.push_back(finding_of(reduce, job));
  for (const bool between_hosts : {false, true})
    for (Finding& finding : links_of(job, between_hosts)) findings.push_back(std::move(finding));
  return findings;
}

Findings check_all(const JobFacts& job) {
  Findings all;
  for (const auto check : {check_world, check_versions, check_gpus, check_cores, check_memory, check_shared_memory,
                           check_disk, check_locks, check_clocks, check_speed})
    for (Finding& finding : check(job)) all.push_back(std::move(finding));
  return all;
}

}  // namespace hyperx::doctor

#include <algorithm>
#include <set>

#include "common/log.h"
#include "trainer/doctor/checks.h"

// Checks of the ranks: how they were started, what they run on, what they run.
namespace hyperx::doctor {

namespace {

using RanksOfHosts = std::map<std::string, std::vector<const RankFacts*>>;

RanksOfHosts by_host(const JobFacts& job) {
  RanksOfHosts hosts;
  for (const RankFacts& rank : job.ranks) hosts[rank.host].push_back(&rank);
  return hosts;
}

std::string cores_text(const std::vector<int>& cores) {
  std::string text;
  for (size_t i = 0; i < cores.size(); ++i) {
    size_t last = i;
    while (last + 1 < cores.size() && cores[last + 1] == cores[last] + 1) ++last;
    text += fmt::format("{}{}", text.empty() ? "" : ",", cores[i]);
    if (last > i) text += fmt::format("-{}", cores[last]);
    i = last;
  }
  return text;
}

std::string cuda_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

// Two ranks of the host whose cores overlap, though they are not bound to the same set; null: there are none.
std::pair<const RankFacts*, const RankFacts*> overlapping(const std::vector<const RankFacts*>& ranks) {
  for (size_t i = 0; i < ranks.size(); ++i)
    for (size_t j = i + 1; j < ranks.size(); ++j) {
      std::vector<int> shared;
      std::set_intersection(ranks[i]->cores.begin(), ranks[i]->cores.end(), ranks[j]->cores.begin(),
                            ranks[j]->cores.end(), std::back_inserter(shared));
      if (!shared.empty()) return {ranks[i], ranks[j]};
    }
  return {nullptr, nullptr};
}

Finding cores_of_host(const std::string& host, const std::vector<const RankFacts*>& ranks) {
  const RankFacts& first = *ranks.front();
  const auto count = std::ssize(ranks), cores = std::ssize(first.cores);
  const bool unbound = cores == first.online_cores;
  const std::string has = fmt::format("{}: {} of {} cores for {} rank{}", host, cores_text(first.cores),
                                      first.online_cores, count, count == 1 ? "" : "s");
  const auto [one, other] = overlapping(ranks);
  if (cores == 0) return {Level::kWarning, "cores", host + ": the cores of a rank are not known", "name --threads"};
  if (unbound && count > cores)
    return {Level::kWarning, "cores", fmt::format("{}: {} ranks share {} cores", host, count, cores),
            fmt::format("start at most {} ranks on a host", cores)};
  if (one != nullptr && !unbound) {
    if (one->cores == other->cores)
      return {Level::kWarning, "cores",
              fmt::format("{}: ranks {} and {} may use the same cores, {}", host, one->rank, other->rank,
                          cores_text(one->cores)),
              fmt::format("add --threads {} (or let the launcher bind each rank: srun --cpus-per-task, mpirun "
                          "--map-by slot:PE=N)",
                          std::max<int64_t>(1, cores / count))};
    return {Level::kWarning, "cores",
            fmt::format("{}: ranks {} and {} share cores ({} and {})", host, one->rank, other->rank,
                        cores_text(one->cores), cores_text(other->cores)),
            "let the launcher bind each rank to cores of its own: srun --cpus-per-task, mpirun --map-by slot:PE=N"};
  }
  if (cores == 1 && first.online_cores > count)
    return {Level::kWarning, "cores",
            fmt::format("{}: each rank is bound to one of {} cores", host, first.online_cores),
            "start with launch/run, or give mpirun --bind-to none, or srun --cpus-per-task"};
  return {Level::kOk, "cores", unbound ? has : fmt::format("{}: each of {} ranks has cores of its own", host, count),
          ""};
}

Finding no_gpu(const std::string& host, const GpuFacts& gpu) {
  if (!gpu.hardware) return {Level::kOk, "GPU", host + ": no GPU: training computes on the CPU", ""};
  if (!gpu.built_with_cuda)
    return {Level::kWarning, "GPU", host + ": has a GPU, but this hyperx was built without CUDA",
            "build with -DHYPERX_CUDA=ON"};
  if (gpu.driver_cuda > 0 && gpu.driver_cuda < gpu.built_cuda)
    return {Level::kWrong, "GPU",
            fmt::format("{}: the driver knows CUDA {}, hyperx was built with {}: {}", host, cuda_text(gpu.driver_cuda),
                        cuda_text(gpu.built_cuda), gpu.reason),
            "update the driver, or build with a CUDA toolkit that it knows"};
  return {Level::kWrong, "GPU", fmt::format("{}: has a GPU that cannot be used: {}", host, gpu.reason),
          "look at nvidia-smi; with containers, pass the GPUs on (--gpus all, --nv)"};
}

Finding gpus_of_host(const std::string& host, const std::vector<const RankFacts*>& ranks) {
  for (const RankFacts* rank : ranks)
    if (rank->gpu.usable == 0) return no_gpu(host, rank->gpu);
  std::map<std::string, const RankFacts*> takers;
  for (const RankFacts* rank : ranks) {
    if (rank->gpu.bus.empty()) continue;
    const auto [found, is_new] = takers.emplace(rank->gpu.bus, rank);
    if (!is_new)
      return {Level::kWrong, "GPU",
              fmt::format("{}: ranks {} and {} are on the same GPU, {}: NCCL refuses that, or hangs", host,
                          found->second->rank, rank->rank, rank->gpu.bus),
              fmt::format("start {} ranks on this host, or show each rank its own GPU (srun --gpus-per-task=1)",
                          ranks.front()->gpu.usable)};
  }
  const GpuFacts& gpu = ranks.front()->gpu;
  if (gpu.usable > 1 && std::ssize(ranks) > gpu.usable)
    return {Level::kWrong, "GPU", fmt::format("{}: {} ranks, but {} visible GPUs", host, ranks.size(), gpu.usable),
            fmt::format("start {} ranks on a host", gpu.usable)};
  const std::string found = fmt::format("{}: {} visible, {}, driver for CUDA {}, built with {}", host, gpu.usable,
                                        gpu.name, cuda_text(gpu.driver_cuda), cuda_text(gpu.built_cuda));
  if (gpu.usable > std::ssize(ranks) && ranks.size() > 1)
    return {Level::kWarning, "GPU", found + fmt::format("; only {} ranks use them", ranks.size()),
            fmt::format("start {} ranks on a host", gpu.usable)};
  return {Level::kOk, "GPU", found, ""};
}

}  // namespace

Findings check_world(const JobFacts& job) {
  const auto ranks = std::ssize(job.ranks);
  if (!job.launched && job.expected_ranks <= 1)
    return {{Level::kOk, "world size",
             "one process without a launcher; start doctor as you start a training (mpirun, srun) to try what ranks do "
             "together",
             ""}};
  if (job.expected_ranks != ranks)
    return {{Level::kWrong, "world size",
             fmt::format("{}={}, but MPI sees {} rank{}", job.expected_from, job.expected_ranks, ranks,
                         ranks == 1 ? ": each would train alone" : "s"),
             job.expected_from.starts_with("SLURM") ? "start with srun --mpi=pmix, or with mpirun in the allocation"
                                                    : "start with the mpirun of the MPI library that hyperx was built "
                                                      "with (hyperx --version names it)"}};
  const RanksOfHosts hosts = by_host(job);
  size_t fewest = SIZE_MAX, most = 0;
  for (const auto& [host, of_host] : hosts) {
    fewest = std::min(fewest, of_host.size());
    most = std::max(most, of_host.size());
  }
  const std::string found =
      fmt::format("{} rank{} on {} host{}", ranks, ranks == 1 ? "" : "s", hosts.size(), hosts.size() == 1 ? "" : "s");
  if (fewest != most)
    return {{Level::kWarning, "world size", fmt::format("{}, between {} and {} on a host", found, fewest, most),
             "give each host as many ranks (--ntasks-per-node, mpirun --map-by ppr:N:node): the slowest host sets the "
             "pace"}};
  return {{Level::kOk, "world size", found, ""}};
}

Findings check_versions(const JobFacts& job) {
  Findings findings;
  const RankFacts& first = job.ranks.front();
  std::string known;
  for (const auto& [name, version] : first.versions) known += (known.empty() ? "" : ", ") + name + " " + version;
  for (const auto& [name, version] : first.versions)
    for (const RankFacts& rank : job.ranks) {
      const auto found = rank.versions.find(name);
      const std::string there = found == rank.versions.end() ? "unknown" : found->second;
      if (there == version) continue;
      findings.push_back(
          {Level::kWrong, "versions",
           fmt::format("{} is {} on {} and {} on {} (rank {})", name, version, first.host, there, rank.host, rank.rank),
           "install one build for all hosts, best on a file system that they share"});
      break;
    }
  if (findings.empty()) findings.push_back({Level::kOk, "versions", known, ""});
  return findings;
}

Findings check_cores(const JobFacts& job) {
  Findings findings;
  for (const auto& [host, ranks] : by_host(job)) findings.push_back(cores_of_host(host, ranks));
  return join_hosts(std::move(findings));
}

Findings check_gpus(const JobFacts& job) {
  Findings findings;
  std::set<int> counts;
  for (const auto& [host, ranks] : by_host(job)) {
    findings.push_back(gpus_of_host(host, ranks));
    counts.insert(ranks.front()->gpu.usable);
  }
  findings = join_hosts(std::move(findings));
  if (counts.size() > 1)
    findings.push_back({Level::kWarning, "GPU",
                        fmt::format("hosts see between {} and {} GPUs", *counts.begin(), *counts.rbegin()),
                        "ask for the same number on every host (--gpus-per-node)"});
  return findings;
}

}  // namespace hyperx::doctor

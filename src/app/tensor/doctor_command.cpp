#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "app/tensor/doctor_report.h"
#include "app/tensor/rank_setup.h"
#include "app/tensor/tensor_commands.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/errors.h"
#include "common/hdf5/hdf5_file.h"
#include "common/log.h"
#include "common/progress.h"
#include "common/version.h"
#include "trainer/comm/gpu_sight.h"
#include "trainer/comm/launch_probe.h"
#include "trainer/comm/make_communicator.h"
#include "trainer/comm/rank_timing.h"
#include "trainer/comm/watchdog.h"
#include "trainer/doctor/disk_trial.h"

namespace hyperx {
namespace {

namespace fs = std::filesystem;
using doctor::JobFacts;
using doctor::RankFacts;

constexpr double kSeconds = 8;  // for messages between ranks
constexpr int64_t kLargeReduce = 256 << 20, kSmallReduce = 1 << 20, kProbeReduce = 8 << 20, kLinkBytes = 4 << 20;
constexpr int64_t kDiskBytes = 64 << 20;
constexpr int kStages = 5;
constexpr std::chrono::seconds kLongestStage{120};  // a rank that waits longer for another ends the job

// Path and size of the file that a function was loaded from.
std::string file_of(const void* function) {
  Dl_info info{};
  if (dladdr(function, &info) == 0 || info.dli_fname == nullptr) return "unknown";
  std::error_code error;
  const auto bytes = fs::file_size(info.dli_fname, error);
  return fmt::format("{} ({} bytes)", info.dli_fname, error ? 0 : bytes);
}

// Of the program and our own libraries: equal only for one build.
std::string digest_of_build() {
  Xxh128 digest;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  std::vector<fs::path> files = {program};
  for (const auto& entry : fs::directory_iterator(program.parent_path().parent_path() / "lib", error))
    if (entry.path().filename().string().starts_with("libhyperx")) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) digest.update(xxh128_of_file(file.string()));
  return digest.hex().substr(0, 12);
}

RankFacts facts_of_rank(const comm::RankInfo& info, const std::string& mpi) {
  RankFacts facts = doctor::look_around();
  facts.rank = info.rank;
  facts.local_rank = info.local_rank;
  facts.local_size = info.local_size;
  const comm::GpuSight sight = comm::look_for_gpus();
  const comm::GpuDetails details = comm::describe_gpu(info.local_rank, sight);
  facts.gpu = {sight.built_with_cuda, sight.hardware,     sight.usable, sight.reason,
               details.driver_cuda,   details.built_cuda, details.name, details.bus};
  facts.versions = {{"hyperx", std::string(version()) + " (" + std::string(git_revision()) + ")"},
                    {"build", digest_of_build()},
                    {"HDF5", h5::library_version()},
                    {"MPI", mpi},
                    {"LibTorch", file_of(reinterpret_cast<const void*>(&at::get_num_threads))}};
  return facts;
}

doctor::ReduceSpeed measure_reduce(comm::Communicator& communicator, at::Device device, int64_t bytes, double seconds) {
  const at::Tensor values =
      at::zeros({bytes / static_cast<int64_t>(sizeof(float))}, at::TensorOptions(device).dtype(at::kFloat));
  const auto timed = [&](int64_t rounds) {
    communicator.barrier();
    const Clock::time_point start = Clock::now();
    for (int64_t i = 0; i < rounds; ++i) communicator.all_reduce(values);
    communicator.synchronize();
    const auto own = static_cast<int64_t>(1e9 * seconds_since(start));
    return 1e-9 * static_cast<double>(communicator.all_reduce_max({own})[0]);  // the slowest rank, agreed by all
  };
  timed(1);  // opens connections, touches memory
  const double one = std::max(timed(1), 1e-9);
  const auto rounds = static_cast<int64_t>(std::clamp(seconds / one, 1.0, 20.0));
  return {bytes, timed(rounds) / static_cast<double>(rounds)};
}

// 256 MiB, or less where that would take too long or too much memory. `probe`: of a sixteenth of it or less.
int64_t large_bytes(const doctor::ReduceSpeed& probe, const JobFacts& job, double seconds) {
  int64_t memory = INT64_MAX;
  for (const RankFacts& rank : job.ranks) memory = std::min(memory, rank.usable_memory / std::max(1, rank.local_size));
  int64_t bytes = kLargeReduce;
  const double per_byte = probe.seconds / static_cast<double>(probe.bytes);
  while (bytes > kSmallReduce && (per_byte * static_cast<double>(3 * bytes) > seconds || bytes > memory / 8))
    bytes /= 2;
  return bytes;
}

void measure_messages(const CommandLine& line, comm::MpiSession& session, comm::Watchdog& watchdog, JobFacts& job) {
  const double seconds = line.number_flag("seconds", kSeconds);
  ParallelConfig config = line.config.parallel;
  config.start_limit_seconds = config.step_limit_seconds = static_cast<int>(kLongestStage.count());
  std::string problem;
  try {
    at::Device device = at::kCPU;
    try {
      device = comm::choose_device(line.config.device, session);
    } catch (const UserError&) {  // on all ranks; check_gpus() tells why: the network can still be measured
    }
    const auto communicator = comm::make_communicator(config, device, session);
    watchdog.watch(communicator.get());
    job.backend = communicator->backend();
    job.reduces.push_back(measure_reduce(*communicator, device, kSmallReduce, seconds / 8));
    watchdog.beat();
    doctor::ReduceSpeed probe = job.reduces[0];
    // A small message may take long for reasons that a large one does not have.
    if (large_bytes(probe, job, seconds / 2) >= kProbeReduce)
      probe = measure_reduce(*communicator, device, kProbeReduce, seconds / 8);
    const int64_t large = large_bytes(probe, job, seconds / 2);
    watchdog.beat();
    if (large > kSmallReduce) job.reduces.push_back(measure_reduce(*communicator, device, large, seconds / 2));
    watchdog.watch(nullptr);
  } catch (const std::exception& error) {
    watchdog.watch(nullptr);
    problem = error.what();
  }
  for (const std::string& each : session.gather_texts(problem))
    if (job.reduce_problem.empty()) job.reduce_problem = each;
}

void gather(const comm::MpiSession& session, RankFacts own, JobFacts& job) {
  job.ranks.clear();
  for (const std::string& text : session.gather_texts(own.to_json().dump()))
    job.ranks.push_back(RankFacts::from_json(nlohmann::json::parse(text)));
}

JobFacts facts_of_job(const CommandLine& line, comm::MpiSession& session, comm::Watchdog& watchdog) {
  Progress progress("doctor", kStages, "stages", {session.rank() != 0, nullptr, false, {}});
  const auto stage_done = [&] {
    watchdog.beat();
    progress.advance();
  };
  JobFacts job;
  const comm::LaunchProbe probe = comm::probe_launch([](const char* name) -> const char* { return std::getenv(name); });
  job.launched = session.launched();
  job.expected_ranks = probe.expected_ranks;
  job.expected_from = probe.source;
  job.folder = folder_of(line);
  RankFacts own = facts_of_rank(session.info(), session.library());
  stage_done();
  {
    const doctor::DiskTrial trial(job.folder, session.info().job, session.rank() == 0);
    session.gather_texts("");  // the first host has begun
    if (session.info().local_rank == 0) own.disk = trial.try_disk(kDiskBytes);
    session.gather_texts("");  // all hosts are done
  }
  stage_done();
  if (session.size() > 1) {
    const comm::ClockOffset clock = comm::measure_clock(session);
    own.clock_offset = clock.seconds;
    own.clock_error = clock.error;
  }
  gather(session, own, job);
  stage_done();
  job.backend = "local";
  if (session.size() > 1) {
    measure_messages(line, session, watchdog, job);
    stage_done();
    const double seconds = line.number_flag("seconds", kSeconds) / 8;
    const std::vector<double> speeds = comm::measure_links(session, kLinkBytes, seconds);
    for (size_t i = 0; i < speeds.size(); ++i)
      job.links.push_back({static_cast<int>(i), static_cast<int>(i) + 1, speeds[i]});
    stage_done();
  }
  return job;
}

// MPI sees one process where the launcher started several: each of them is here. Only the first reports.
int report_failed_launch(const CommandLine& line) {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"})
    if (const char* const rank = std::getenv(name); rank != nullptr && std::atoi(rank) > 0)
      return static_cast<int>(ExitCode::kUnavailable);
  const comm::LaunchProbe probe = comm::probe_launch([](const char* name) -> const char* { return std::getenv(name); });
  JobFacts job;
  job.expected_ranks = probe.expected_ranks;
  job.expected_from = probe.source;
  job.folder = folder_of(line);
  job.backend = "local";
  RankFacts own = facts_of_rank({}, "not started");
  own.disk = doctor::DiskTrial(job.folder, "alone-" + std::to_string(::getpid()), true).try_disk(kDiskBytes);
  job.ranks.push_back(own);
  return report(job, line.has_flag("json"), std::cout);
}

}  // namespace

int run_doctor(const CommandLine& line, const std::string& title) {
  folder_of(line);  // a mistake on the command line is one of all ranks
  try {
    return run_under_mpi(title, [&](comm::MpiSession& session, comm::RankProgress& progress, comm::OnFailure&) {
      comm::WatchdogOptions options;
      options.limits.start = kLongestStage;
      comm::Watchdog watchdog(session.info(), progress, options);
      const JobFacts job = facts_of_job(line, session, watchdog);
      std::ostream quiet(nullptr);
      return report(job, line.has_flag("json"), session.rank() == 0 ? std::cout : quiet);
    });
  } catch (const UserError&) {  // of the session: those of the work are handled within
    return report_failed_launch(line);
  }
}

}  // namespace hyperx

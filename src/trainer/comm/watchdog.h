#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "common/config/config.h"
#include "common/errors.h"
#include "model/comm/communicator.h"
#include "model/comm/rank_info.h"
#include "trainer/comm/failure_report.h"
#include "trainer/comm/rank_files.h"
#include "trainer/comm/rank_progress.h"

namespace hyperx::comm {

// How long a rank may stay in a section without progress. Time during which its process was stopped (a suspended job)
// does not count.
struct SectionLimits {
  std::chrono::milliseconds start{600'000}, step{0}, checkpoint{420'000}, evaluation{1'800'000};  // step 0: measured
  static SectionLimits of(const ParallelConfig& config);
  // HYPERX_CHECK: the section is one of the four. `step_time`: what a step takes on this rank; none: not known yet.
  std::chrono::milliseconds of(const std::string& section,
                               std::optional<RankProgress::Clock::duration> step_time = std::nullopt) const;
  std::chrono::milliseconds shortest() const;
};

// The limit of a step that is not given: kStepTimes times what steps took, at least kShortestStepLimit; before that is
// known, kFirstStepLimit.
constexpr int kStepTimes = 20;
constexpr std::chrono::milliseconds kShortestStepLimit{60'000}, kFirstStepLimit{300'000};

struct WatchdogOptions {
  SectionLimits limits;
  std::string folder;  // of rank files, visible to all ranks: RUN/ranks/; empty: laggards are not named
  OnFailure on_failure;
  int exit_code = static_cast<int>(ExitCode::kIo);
  // How often the rank's file is written and the limit checked; at least four times within the shortest limit.
  std::chrono::milliseconds publish_every{5'000}, look_every{500};
};

// A thread that ends the job when the main thread makes no progress. It writes one line naming rank, host, section,
// step and the ranks that the others wait for, then calls on_failure, then _exit(exit_code). It calls neither MPI
// (FUNNELED: only the main thread may) nor NCCL; mpirun and srun end the other ranks when one exits with a non-zero
// code.
class Watchdog {
 public:
  Watchdog(const RankInfo& info, RankProgress& progress, WatchdogOptions options);
  ~Watchdog();  // stops watching; removes this rank's file
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // Time outside all sections counts as the section start.
  [[nodiscard]] Section enter(const std::string& section, int64_t step);
  void beat() { progress_.beat(); }  // progress within a long section, such as one more batch of an evaluation
  // True for the first caller of the job, process or thread: only that one records why the job failed, because failures
  // on the other ranks are a consequence. The watchdog itself asks before it calls on_failure. Without options.folder:
  // always true.
  bool claim_report() const { return files_.claim_report(); }
  // From now on, reports its collectives and calls its request_abort() before the end. Pass nullptr before it is
  // destroyed.
  void watch(Communicator* communicator);

 private:
  void run();
  void publish(const RankProgress::Place& place);
  [[noreturn]] void expire(const RankProgress::Place& place, RankProgress::Clock::duration spent);

  const RankInfo info_;
  RankProgress& progress_;
  const WatchdogOptions options_;
  const RankFiles files_;
  std::chrono::milliseconds publish_every_, look_every_;
  std::mutex mutex_;  // guards the members below
  std::condition_variable wake_;
  Communicator* communicator_ = nullptr;
  bool stopping_ = false;
  bool warned_ = false;
  std::thread thread_;
};

}  // namespace hyperx::comm

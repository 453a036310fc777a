// A small job of many steps, one of whose ranks, the last, fails in step 7 in the way that the first argument names.
// usage: comm_fault_rank MODE FOLDER STEP_LIMIT_SECONDS
#include <ATen/ops/ones.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <thread>

#include "common/errors.h"
#include "trainer/comm/make_communicator.h"
#include "trainer/comm/mpi_session.h"
#include "trainer/comm/run_rank.h"
#include "trainer/comm/stop_request.h"
#include "trainer/comm/watchdog.h"

namespace hyperx::comm {
namespace {

constexpr int64_t kFailingStep = 7;

void sleep_for_ever() {
  while (true) pause();
}

// Returns true where this rank leaves the loop early.
bool fail(const std::string& mode, Communicator& communicator) {
  const bool chosen = communicator.rank() == communicator.size() - 1;
  if (mode == "user-error-all") throw UserError(ExitCode::kBadConfig, "train.steps=-1: must be at least 0");
  if (mode == "user-error-each") {
    throw UserError(ExitCode::kBadData, "file " + std::to_string(communicator.rank()) + " is bad");
  }
  if (!chosen) return false;
  if (mode == "throw") throw std::runtime_error("an index is out of range");
  if (mode == "system-error") throw SystemError("H5Dwrite failed: no space left");
  if (mode == "user-error-one") throw UserError(ExitCode::kBadData, "corpus/en.h5: the digest does not hold");
  if (mode == "exit") _exit(3);
  if (mode == "kill") raise(SIGKILL);
  if (mode == "stop") raise(SIGSTOP);
  if (mode == "hang") sleep_for_ever();
  if (mode == "other-call") communicator.barrier();
  return mode == "leave";
}

int run_steps(const std::string& mode, const std::string& folder, std::chrono::seconds step_limit,
              const MpiSession& session, RankProgress& progress, const OnFailure& on_failure) {
  const StopRequest stop;
  WatchdogOptions options;
  options.limits = {std::chrono::minutes(2), step_limit, std::chrono::minutes(2), std::chrono::minutes(2)};
  options.publish_every = std::chrono::milliseconds(100);
  options.folder = folder + "/ranks";
  options.on_failure = on_failure;
  Watchdog watchdog(session.info(), progress, options);
  const auto communicator = make_communicator({}, choose_device("cpu", session), session);
  watchdog.watch(communicator.get());
  for (int64_t step = 1;; ++step) {
    const Section section = watchdog.enter("step", step);
    const at::Tensor gradient = at::ones({5000});
    communicator->all_reduce(gradient);
    if (step == 2) std::fprintf(stderr, "running %d %d\n", session.rank(), getpid());
    if (step == kFailingStep && fail(mode, *communicator)) return 0;
    if (communicator->all_reduce_max({stop.signal()}).front() != 0) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  // What a checkpoint takes.
  const Section section = watchdog.enter("checkpoint", kFailingStep);
  std::this_thread::sleep_for(std::chrono::seconds(2));
  std::ofstream(folder + "/saved-" + std::to_string(session.rank())) << "saved\n";
  watchdog.watch(nullptr);
  return static_cast<int>(ExitCode::kSavedRunAgain);
}

int run(const std::string& mode, const std::string& folder, std::chrono::seconds step_limit) {
  MpiSession session;
  RankProgress progress;
  RunRankOptions options;
  options.title = "fault_rank";
  options.agree_limit = std::chrono::seconds(1);
  options.on_failure = [&](const FailureReport& report) {
    std::ofstream(folder + "/failure-" + std::to_string(report.rank))
        << report.rank << '|' << report.host << '|' << report.section << '|' << report.step << '|' << report.exit_code
        << '|' << report.reason << '\n';
  };
  return run_rank(session, progress, options,
                  [&] { return run_steps(mode, folder, step_limit, session, progress, options.on_failure); });
}

}  // namespace
}  // namespace hyperx::comm

int main(int argc, char** argv) {
  if (argc != 4) return 64;
  try {
    return hyperx::comm::run(argv[1], argv[2], std::chrono::seconds(std::stoi(argv[3])));
  } catch (const hyperx::UserError& error) {
    std::fprintf(stderr, "fault_rank: %s\n", error.what());
    return static_cast<int>(error.code());
  }
}

#include "app/tensor/rank_setup.h"

#include <ATen/Parallel.h>
#include <sched.h>

#include "common/log.h"

namespace hyperx {

int set_threads(const Config& config, const comm::MpiSession& session) {
  int threads = config.threads;
  if (threads == 0) {
    cpu_set_t mask;
    CPU_ZERO(&mask);
    const bool known = sched_getaffinity(0, sizeof mask, &mask) == 0;
    const int allowed = known ? CPU_COUNT(&mask) : 1;
    const int online = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
    // Ranks that may use all CPUs share them; ranks that the launcher bound each have their own.
    threads = allowed == online ? std::max(1, allowed / session.info().local_size) : allowed;
    if (session.rank() == 0 && allowed == 1 && online > session.info().local_size && session.launched())
      log::warning(
          "the launcher bound this rank to one of {} CPUs: start with launch/run, or give mpirun --bind-to none",
          online);
  }
  at::set_num_threads(threads);
  return threads;
}

int run_under_mpi(const std::string& title, const RankWork& work) {
  comm::MpiSession session;
  log::set_rank(session.rank(), session.size());
  comm::RankProgress progress;
  comm::RunRankOptions options;
  options.title = title;
  return comm::run_rank(session, progress, options, [&] { return work(session, progress, options.on_failure); });
}

}  // namespace hyperx

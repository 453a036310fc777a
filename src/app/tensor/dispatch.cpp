#include <ATen/Parallel.h>
#include <sched.h>

#include <cstring>

#include "app/tensor/tensor_commands.h"
#include "common/errors.h"
#include "common/log.h"
#include "trainer/comm/run_rank.h"
#include "trainer/comm/stop_request.h"

namespace hyperx {

int set_threads(const Config& config, const comm::MpiSession& session) {
  int threads = config.threads;
  if (threads == 0) {
    cpu_set_t mask;
    CPU_ZERO(&mask);
    const bool known = sched_getaffinity(0, sizeof mask, &mask) == 0;
    const int allowed = known ? CPU_COUNT(&mask) : 1;
    const int online = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
    // Ranks that may all run everywhere share the CPUs; ranks that the launcher bound have theirs for themselves.
    threads = allowed == online ? std::max(1, allowed / session.info().local_size) : allowed;
    if (session.rank() == 0 && allowed == 1 && online > session.info().local_size && session.launched())
      log::warning(
          "the launcher bound this rank to one of {} CPUs: start with launch/run, or give mpirun --bind-to none",
          online);
  }
  at::set_num_threads(threads);
  return threads;
}

namespace {

template <class Command>
int run_under_mpi(const CommandLine& line, const Command& command) {
  comm::MpiSession session;
  log::set_rank(session.rank(), session.size());
  comm::RankProgress progress;
  comm::RunRankOptions options;
  options.title = "hyperx " + line.command;
  return comm::run_rank(session, progress, options, [&] { return command(session, progress, options.on_failure); });
}

}  // namespace
}  // namespace hyperx

extern "C" __attribute__((visibility("default"))) int hyperx_run_tensor_command(const char* name,
                                                                                const hyperx::CommandLine* line) {
  using namespace hyperx;
  if (std::strcmp(name, "train") == 0) {
    const comm::StopRequest stop;  // before MPI starts: a signal during a slow start asks for a stop, too
    return run_under_mpi(*line, [&](auto& session, auto& progress, auto& on_failure) {
      return run_train(*line, session, progress, stop, on_failure);
    });
  }
  if (std::strcmp(name, "evaluate") == 0)
    return run_under_mpi(*line,
                         [&](auto& session, auto& progress, auto&) { return run_evaluate(*line, session, progress); });
  if (std::strcmp(name, "bench") == 0)
    return run_under_mpi(*line,
                         [&](auto& session, auto& progress, auto&) { return run_bench(*line, session, progress); });
  if (std::strcmp(name, "predict") == 0) return run_predict(*line);
  throw UserError(ExitCode::kUsage, std::string("the command '") + name + "' is not built yet");
}

#include <csignal>
#include <cstring>
#include <optional>

#include "app/tensor/rank_setup.h"
#include "app/tensor/tensor_commands.h"
#include "common/errors.h"
#include "trainer/comm/stop_request.h"

extern "C" __attribute__((visibility("default"))) int hyperx_run_tensor_command(const char* name,
                                                                                const hyperx::CommandLine* line) {
  using namespace hyperx;
  const std::string title = "hyperx " + line->command;
  if (std::strcmp(name, "train") == 0) {
    // A log that cannot be written (its reader is gone, the disk is full) must not end a training.
    for (const int signal : {SIGPIPE, SIGXFSZ}) std::signal(signal, SIG_IGN);
    const comm::StopRequest stop;  // before MPI starts: a signal during a slow start must stop the run too
    return run_under_mpi(title, [&](auto& session, auto& progress, auto& on_failure) {
      return run_train(*line, session, progress, stop, on_failure);
    });
  }
  if (std::strcmp(name, "evaluate") == 0) {
    std::optional<comm::StopRequest> stop;
    if (line->has_flag("watch")) stop.emplace();
    return run_under_mpi(title, [&](auto& session, auto& progress, auto&) {
      return run_evaluate(*line, session, progress, stop ? &*stop : nullptr);
    });
  }
  if (std::strcmp(name, "predict") == 0) return run_predict(*line);
  HYPERX_CHECK(false, "the program has a command that this library lacks");
}

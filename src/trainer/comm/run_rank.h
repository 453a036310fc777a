#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "trainer/comm/failure_report.h"
#include "trainer/comm/mpi_session.h"
#include "trainer/comm/rank_progress.h"

namespace hyperx::comm {

struct RunRankOptions {
  std::string title = "hyperx";          // prefix of error messages: "hyperx train: ..."
  OnFailure on_failure;                  // called on every rank that prints a line; `body` may still set it
  std::chrono::seconds agree_limit{10};  // how long a rank with a UserError waits for the others to have one too
};

// Runs `body`, the whole work of this rank, and returns its exit code. An exception ends all ranks:
//
// A UserError on all ranks: each different text is printed once, by the lowest rank that has it, and all ranks return
// the code of the lowest rank; nothing is aborted. If `body` returns on one rank and throws on another, the next case
// applies.
//
// Any other exception, or a UserError that not all ranks have: one line with rank, host, section, step and reason, then
// on_failure, then MPI_Abort with the code, which mpirun returns.
//
// With a single rank the line is only the message, and the code is returned.
int run_rank(MpiSession& session, RankProgress& progress, const RunRankOptions& options,
             const std::function<int()>& body);

}  // namespace hyperx::comm

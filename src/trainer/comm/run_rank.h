#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "trainer/comm/failure_report.h"
#include "trainer/comm/mpi_session.h"
#include "trainer/comm/rank_progress.h"

namespace hyperx::comm {

struct RunRankOptions {
  std::string title = "hyperx";          // stands before an error: "hyperx train: ..."
  OnFailure on_failure;                  // called on every rank whose line is printed; `body` may still set it
  std::chrono::seconds agree_limit{10};  // how long a rank with a UserError waits for the others to have one too
};

// Runs `body`, the whole work of this rank, and returns its exit code. What it throws ends all ranks:
//
// A UserError on all ranks: each different text is printed once, by the lowest rank that has it, and all ranks return
// the code of the lowest rank; nothing is aborted. A body that returns on one rank and throws on another counts as the
// next case.
//
// Anything else, or a UserError that not all ranks meet: one line with rank, host, section, step and reason, then
// on_failure, then MPI_Abort with the code, which mpirun returns.
//
// Alone (one rank) the line is the message, and the code is returned.
int run_rank(MpiSession& session, RankProgress& progress, const RunRankOptions& options,
             const std::function<int()>& body);

}  // namespace hyperx::comm

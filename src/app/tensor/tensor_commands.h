#pragma once

#include "common/config/config.h"
#include "trainer/comm/failure_report.h"
#include "trainer/comm/mpi_session.h"
#include "trainer/comm/rank_progress.h"
#include "trainer/comm/stop_request.h"

// The commands of the tensor library. Each does the whole work of one rank and returns its exit code.
namespace hyperx {

// Sets `on_failure`, which run_rank calls when the command has failed.
int run_train(const CommandLine& line, comm::MpiSession& session, comm::RankProgress& progress,
              const comm::StopRequest& stop, comm::OnFailure& on_failure);
// `stop`: with --watch, which a signal ends after the scores that are being computed; else null.
int run_evaluate(const CommandLine& line, comm::MpiSession& session, comm::RankProgress& progress,
                 const comm::StopRequest* stop);
int run_predict(const CommandLine& line);  // a single process, without MPI

}  // namespace hyperx

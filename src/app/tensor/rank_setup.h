#pragma once

#include <functional>

#include "common/config/config.h"
#include "trainer/comm/run_rank.h"

// How a command that may have several ranks starts.
namespace hyperx {

// The whole work of one rank, which returns its exit code; it may set what is called when the command has failed.
using RankWork =
    std::function<int(comm::MpiSession& session, comm::RankProgress& progress, comm::OnFailure& on_failure)>;

// Starts MPI and runs `work` by run_rank(). `title` stands before an error: "hyperx train".
int run_under_mpi(const std::string& title, const RankWork& work);

// CPUs that this rank may use: `threads`, or what the affinity mask allows, shared by the ranks of the host when they
// are not bound apart. Sets LibTorch's number of threads.
int set_threads(const Config& config, const comm::MpiSession& session);

}  // namespace hyperx

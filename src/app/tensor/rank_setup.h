#pragma once

#include <functional>

#include "common/config/config.h"
#include "trainer/comm/run_rank.h"

// The start of a command that may have several ranks.
namespace hyperx {

// The whole work of one rank, which returns its exit code; it may set the function called after a failure.
using RankWork =
    std::function<int(comm::MpiSession& session, comm::RankProgress& progress, comm::OnFailure& on_failure)>;

// Starts MPI and runs `work` through run_rank(). `title` is the prefix of error messages: "hyperx train".
int run_under_mpi(const std::string& title, const RankWork& work);

// The CPUs that this rank may use: `threads`, or what the affinity mask allows, divided among the ranks of the host
// unless they are bound to separate CPUs. Sets LibTorch's number of threads.
int set_threads(const Config& config, const comm::MpiSession& session);

}  // namespace hyperx

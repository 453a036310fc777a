#pragma once

#include <functional>
#include <string>

#include "model/comm/communicator.h"

namespace hyperx::comm {

// Runs `work` on rank 0 only and returns its text on all ranks. Collective. A UserError of rank 0 is thrown on all
// ranks, so that run_rank ends them together, with one line.
std::string on_rank_zero(Communicator& communicator, const std::function<std::string()>& work);

}  // namespace hyperx::comm

#pragma once

#include <memory>
#include <string>

#include "trainer/run/run_lock.h"

namespace hyperx::sweep {

// Whoever submits or extends a sweep holds this: two submitters at once would hand a row to SLURM twice. UserError
// (73): another process holds it.
std::unique_ptr<train::RunLock> lock_sweep(const std::string& folder);

}  // namespace hyperx::sweep

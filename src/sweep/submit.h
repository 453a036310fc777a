#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sweep/plan.h"

namespace hyperx::sweep {

struct SubmitOptions {
  bool failed = false, pending = false;  // neither: as pending
  std::vector<int64_t> rows;             // empty: all
  std::optional<int64_t> most;           // rows of this sweep that may wait or run at the same time
  bool canary = false;                   // the first row alone; the others wait for its success
  bool dry_run = false;
  std::string script;                  // prints the number of the job
  std::vector<std::string> arguments;  // further ones, for sbatch
};

// Hands rows to SLURM as job arrays. Left out are rows that are done, that run, and that wait in the queue. Returns 0,
// or 75 if limits left rows for a later call.
// UserError: 73 another process submits or extends; 74 SLURM does not answer, or refused an array (those before it are
// submitted, and recorded).
int submit(const Plan& plan, const SubmitOptions& options);

}  // namespace hyperx::sweep

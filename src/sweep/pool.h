#pragma once

#include <cstdint>
#include <vector>

#include "sweep/plan.h"
#include "sweep/row_stages.h"

namespace hyperx::sweep {

struct PoolOptions {
  Only only = Only::kAll;
  Ranks ranks;
  int64_t jobs = 1;  // rows at the same time
  bool logs = true;  // the output of each row goes to its file in logs/, otherwise to that of this process
};

// Runs rows, `jobs` at a time, with the cores of this process (and the GPUs that CUDA_VISIBLE_DEVICES lists) shared out
// among them, and returns the exit code that says what remains:
//   0    every row is done
//   75   rows were saved, or not started, because of a signal: run the same line again
//   else the highest code of a row that failed
//   73   if the only rows that are not done run elsewhere
// Ctrl-C, SIGTERM, SIGUSR1 and SIGHUP are passed on: trainings save, and no further row starts. A second Ctrl-C ends
// them at once. A row that fails does not stop the others; all of them are listed at the end.
int run_pool(const Plan& plan, const std::vector<int64_t>& rows, const PoolOptions& options);

// One row, in place of this process where that is possible: a training without evaluation, and all ranks but the first
// of an evaluation under a launcher. Otherwise it returns the exit code. A launcher can start only one stage: where a
// second split is to be evaluated, the code is 75. UserError (64): under a launcher, `only` names no stage.
int run_row(const Plan& plan, int64_t row, const PoolOptions& options);

}  // namespace hyperx::sweep

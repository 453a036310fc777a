#pragma once

#include "trainer/run/run_dir.h"

namespace hyperx::train {

// For `--resume restart`: renames metrics.jsonl and checkpoints/ to NAME.before, or NAME.before-2, ..., which nothing
// deletes, so that the run starts at step 1. Call it with the run locked. SystemError (74).
void start_over(const RunDir& run);

}  // namespace hyperx::train

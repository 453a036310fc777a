#pragma once

#include <string>
#include <vector>

#include "common/config/schema.h"
#include "trainer/checkpoint/prune_plan.h"

namespace hyperx {

// The settings that the run stored in config.conf, with paths as they are from here. UserError: 66 missing; 78 damaged.
Config read_run_settings(const std::string& run);

// Whether the option names another run or a checkpoint whose weights the run uses: the starting point, or the runs that
// its method builds on. Not the encoder, the corpus or the run folder.
bool names_weights(const config::Option& option);

// What each run starts from or is built on: the paths in its settings, and those that its newest checkpoint recorded. A
// path to a run counts as its best checkpoint. Runs that cannot be read are skipped.
train::CheckpointUses find_uses(const std::vector<std::string>& runs);

}  // namespace hyperx

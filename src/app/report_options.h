#pragma once

#include <vector>

#include "common/config/config.h"
#include "report/resampling.h"
#include "report/score_table.h"

// What `report` and `compare` have in common.
namespace hyperx {

std::vector<FlagSpec> selection_flags();  // --split, --step, --metric
// Reads the runs that the command line names. A warning counts the files that could not be used.
report::Report report_of(const CommandLine& line);
report::Resampling resampling_of(const CommandLine& line);  // --trials, --seed

}  // namespace hyperx

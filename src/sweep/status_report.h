#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sweep/row_status.h"

namespace hyperx::sweep {

// How the sweep as a whole gets on.
struct SweepProgress {
  int64_t counts[kRowStates] = {};
  int64_t done = 0, rows = 0;
  int64_t step = 0, steps = 0;         // of the rows that have started
  double rows_per_hour = 0;            // over the last rows that were done; 0: unknown
  std::optional<double> seconds_left;  // only while rows run
};
SweepProgress progress_of(const Plan& plan, const std::vector<RowStatus>& statuses);

// Takes from SLURM what the folders cannot tell: rows that are submitted but no longer in the queue are pending again,
// and rows that are lost get the state of their job as the reason.
void add_slurm(const Plan& plan, const Submissions& submissions, std::vector<RowStatus>& statuses);

// For people: counts, rate, time left, and a table of the rows that run or want attention; of all rows if `all`.
void print_status(const Plan& plan, const std::vector<RowStatus>& statuses, bool all);
nlohmann::ordered_json status_json(const Plan& plan, const std::vector<RowStatus>& statuses);

}  // namespace hyperx::sweep

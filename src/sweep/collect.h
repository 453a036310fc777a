#pragma once

#include <string>
#include <vector>

#include "sweep/row_status.h"

namespace hyperx::sweep {

struct ScoreTable {
  std::string csv;
  int64_t scored = 0;  // rows that have scores
};

// The scores of all rows as CSV (RFC 4180, UTF-8, decimal points), one line per row: row, digest, the varying keys,
// state, step, reason; then for each split and pair its main metric, "test pos:en accuracy", and the number of
// sentences, "test pos:en n". Cells without a score are empty. A row's scores are those of the checkpoint that the
// sweep evaluated; of a row that was evaluated by hand, those of its newest checkpoint with results. A result that
// cannot be read is left out with a warning.
ScoreTable collect_scores(const Plan& plan, const std::vector<RowStatus>& statuses);

}  // namespace hyperx::sweep

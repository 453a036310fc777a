#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sweep/plan.h"
#include "sweep/submissions.h"

// Where each row stands, from its run folder: state.json, and whether it was evaluated.
namespace hyperx::sweep {

enum class RowState {
  kPending,    // never started
  kSubmitted,  // handed to SLURM, and not started since
  kRunning,    // training now, or starting
  kSaved,      // stopped by a signal: starting it again continues
  kLost,       // its process is gone: starting it again continues from its last checkpoint
  kFailed,
  kFinished,  // trained; if the sweep evaluates, that remains
  kEvaluated,
};
const char* word_of(RowState state);  // "pending"
constexpr int kRowStates = 8;

struct RowStatus {
  RowState state = RowState::kPending;
  int64_t step = 0, steps = 0;
  std::string started, heartbeat;  // UTC; empty: never started
  std::string reason;              // of a failure
  std::string place;               // "rank 3 on node7, step 120", of a failure

  bool done(const Plan& plan) const {
    return state == RowState::kEvaluated || (state == RowState::kFinished && plan.evaluations.empty());
  }
};

// Of one row, without regard to submissions: kSubmitted is never its state.
RowStatus status_of(const Plan& plan, int64_t row);
// Of all rows, in several threads. A submission counts if the row has given no sign of life since.
std::vector<RowStatus> status_of_all(const Plan& plan, const Submissions& submissions);

// Whether the row has been evaluated so, and the note that says it.
bool is_evaluated(const Plan& plan, int64_t row, const Evaluation& evaluation);
// The step of the checkpoint that was scored; none: not evaluated through the sweep.
std::optional<int64_t> evaluated_step(const Plan& plan, int64_t row, const Evaluation& evaluation);
void note_evaluated(const Plan& plan, int64_t row, const Evaluation& evaluation);

}  // namespace hyperx::sweep

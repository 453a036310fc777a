#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/errors.h"
#include "data/batch/batch_loader.h"
#include "data/tasks/pair.h"
#include "model/comm/communicator.h"
#include "trainer/collapse_watch.h"
#include "trainer/run/run_log.h"
#include "trainer/step_figures.h"
#include "trainer/training_state.h"

namespace hyperx::train {

// The gradient was not finite train.nonfinite_limit times in a row (65).
struct Diverged : UserError {
  Diverged(const std::string& message, int64_t step) : UserError(ExitCode::kBadData, message), last_step(step) {}
  int64_t last_step;  // on a GPU, one less than TrainingState::step
};

// Logs the figures and times of each step, warns of adapters that collapsed, and ends a training run that diverged. On
// a GPU a step is only queued at first; its values are read while the next one runs.
class StepRecorder {
 public:
  // All arguments must outlive it. `waits`: the values are available as soon as the step returns (CPU).
  // `against_collapse`: MethodSpec's, for the warning.
  StepRecorder(comm::Communicator& communicator, RunLog& log, TrainingState& state, int nonfinite_limit, bool waits,
               std::string against_collapse);

  void begin();  // marks the start of a step
  // Adds the step that began, with its `figures` and `update`; reads the previous one, which is then logged.
  void add(const data::StepBatch& batch, const std::vector<data::Pair>& pairs, double learning_rate,
           const at::Tensor& figures, const UpdateReport& update);
  // Reads the queued step. Diverged.
  void finish();

 private:
  struct Queued {
    StepRecord record;
    std::vector<data::Pair> pairs;
    Clock::time_point begin;
    StepFigures figures;
  };
  void check_finite(const StepRecord& record);
  void check_collapse(int64_t step, const std::vector<data::Pair>& pairs, const std::vector<double>& spreads);

  comm::Communicator& communicator_;
  RunLog& log_;
  TrainingState& state_;
  int nonfinite_limit_;
  bool waits_;
  Clock::time_point begin_, last_finish_;
  int64_t sent_before_ = 0;
  std::optional<Queued> queued_;
  CollapseWatch collapse_;
  std::string against_collapse_;
};

}  // namespace hyperx::train

#pragma once

#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "common/config/config.h"
#include "common/errors.h"
#include "data/batch/batch_loader.h"
#include "data/batch/batch_maker.h"
#include "data/batch/mixture.h"
#include "data/corpus/corpus.h"
#include "model/comm/communicator.h"
#include "model/model.h"
#include "trainer/checkpoint/checkpoint_writer.h"
#include "trainer/checkpoint/model_checkpoint.h"
#include "trainer/comm/stop_request.h"
#include "trainer/comm/watchdog.h"
#include "trainer/evaluation/selection.h"
#include "trainer/optimizer/gradient_exchange.h"
#include "trainer/optimizer/optimizer.h"
#include "trainer/run/run_log.h"
#include "trainer/step_recorder.h"
#include "trainer/training_state.h"
#include "trainer/training_step.h"

namespace hyperx::train {

// The parts that a trainer uses; all must outlive it.
struct TrainerParts {
  const Config& config;
  const RunDir& run;
  comm::Communicator& communicator;
  comm::Watchdog& watchdog;
  const comm::StopRequest& stop;
  const data::Corpus& corpus;
  model::Model& model;
  ModelInfo info;
  std::vector<data::Pair> train_pairs;
  std::optional<std::string> resume_from;  // checkpoint folder
  const RunLock* lock = nullptr;           // rank 0
};

// The training loop (docs/design.md section 5). Runs on all ranks; rank 0 writes.
class Trainer {
 public:
  explicit Trainer(TrainerParts parts);
  // Trains to the end, or to the next step boundary after a signal. Returns kDone or kSavedRunAgain.
  ExitCode run();

 private:
  // What all ranks agreed to do after a step.
  struct Control {
    bool evaluate = false, save = false, stop = false;
    int signal = 0;
  };
  void resume(const std::string& checkpoint);
  void try_largest_batches();  // fails early if they do not fit into memory
  void start();
  void evaluate_what_a_stop_left_out();
  void record(const data::StepBatch& batch, double rate, const at::Tensor& figures, const UpdateReport& update);
  Control agree();
  void evaluate();
  void save();
  void save_at_end();
  [[noreturn]] void end_diverged(const Diverged& error);
  void hand_over(const model::NamedTensors& values, const model::NamedTensors& moments);
  void note_saved_checkpoint();
  ExitCode finish(int signal);
  // Checkpoints of earlier steps are good (CheckpointContent::good_before). After steps_->finish().
  int64_t good_before() const { return state_.step - state_.skipped_in_a_row; }
  bool is_due(int64_t every) const { return every > 0 && state_.step % every == 0; }
  void log_start() const;
  std::vector<data::Pair> pairs_of(const data::StepBatch& batch) const;

  TrainerParts parts_;
  const Config& config_;
  data::Mixture mixture_;
  data::BatchMaker maker_;
  Optimizer optimizer_;
  GradientExchange exchange_;
  TrainingStep step_;
  TrainingState state_;
  Selection selection_;
  std::optional<data::BestScore> step_score_;  // of the evaluation at the current step
  int64_t saved_step_ = -1;
  std::optional<MetricsMark> metrics_mark_;  // of the checkpoint that is resumed from
  bool best_is_new_ = false;                 // and is not saved yet
  std::unique_ptr<data::BatchLoader> loader_;
  std::unique_ptr<CheckpointWriter> writer_;  // rank 0
  std::unique_ptr<RunLog> log_;
  std::unique_ptr<StepRecorder> steps_;
};

}  // namespace hyperx::train

#pragma once

#include <memory>
#include <string>

#include "common/clock.h"
#include "data/tasks/result_file.h"
#include "trainer/run/metrics_file.h"
#include "trainer/run/run_dir.h"
#include "trainer/run/run_lock.h"
#include "trainer/run/run_state.h"
#include "trainer/run/tensorboard_file.h"

namespace hyperx::train {

// One step as written to metrics.jsonl and the console.
struct StepRecord {
  int64_t step = 0;  // counted from 1
  std::string pair;  // "pos:en", or several joined by commas
  double loss = 0, gradient_norm = 0, learning_rate = 0;
  double spread = 0;                                // StepFigures::spreads(), the mean over the pairs; nan: no label
  int64_t sentences = 0, tokens = 0, labelled = 0;  // over all ranks
  int64_t bytes_sent = 0;                           // by this rank
  double seconds = 0;
  bool skipped = false;
};

// Writes rank 0's records of a run: metrics.jsonl, progress lines, state.json. On the other ranks every call does
// nothing.
//
// A failed write (a full disk, a network file system that is temporarily unavailable) does not end the run. The first
// failure of a series is a warning; metrics lines stay pending and are written later, in order. Lines still pending at
// the end are lost, and an error message gives their number.
class RunLog {
 public:
  // With a lock, every call throws LostLock if another process has taken over the run. `retry_seconds`: pause after a
  // failed write of metrics. `mark`: what the checkpoint of first_step recorded; lost, repeated and damaged lines up to
  // that step are warnings.
  RunLog(const RunDir& run, bool writes, int64_t first_step, int64_t total_steps, RunState state,
         const RunLock* lock = nullptr, double retry_seconds = kHeartbeatSeconds,
         const std::optional<MetricsMark>& mark = std::nullopt);

  // From here on also writes what goes to metrics.jsonl for TensorBoard. If that cannot be begun, it is a warning.
  void add_tensorboard();

  void step(const StepRecord& record);
  void evaluation(int64_t step, const std::vector<data::EvaluationResult>& results, double seconds);
  // checkpoint(): a checkpoint was handed to the writer. saved(): it is on disk.
  void checkpoint(int64_t step, double pause_seconds, double waited_seconds, int64_t bytes);
  void saved(const std::string& checkpoint);
  // Call it at least every kHeartbeatSeconds when step() is not called.
  void heartbeat();
  // Writes state.json now ("running", "saved", "finished", "failed"), and all pending metrics.
  void set_state(const std::string& state);
  RunState& state() { return state_; }
  MetricsMark metrics_mark() const { return metrics_->mark(); }  // only where it writes

 private:
  // Failed writes of one file since the last successful one.
  struct Trouble {
    int failures = 0;
    std::string reason;
    Clock::time_point last;
  };
  template <class Write>
  bool attempt(Trouble& trouble, const Write& write);
  void add_line(const nlohmann::json& object);
  bool flush_metrics();
  bool flush_tensorboard();
  bool may_try(const Trouble& trouble) const;
  bool write_state(bool sync);
  void progress_line(const StepRecord& record);

  RunDir run_;
  bool writes_;
  int64_t first_step_, total_steps_;
  RunState state_;
  const RunLock* lock_;
  double retry_seconds_;
  std::unique_ptr<MetricsFile> metrics_;
  std::unique_ptr<TensorboardFile> tensorboard_;
  Trouble metrics_trouble_, state_trouble_, tensorboard_trouble_;
  Clock::time_point start_, last_line_, last_heartbeat_;
  int64_t tokens_since_line_ = 0;
};

}  // namespace hyperx::train

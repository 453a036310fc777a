#include "trainer/step_recorder.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "common/errors.h"
#include "common/log.h"

namespace hyperx::train {
namespace {

// nan: none is known.
double mean_of_known(const std::vector<double>& values) {
  double sum = 0;
  int known = 0;
  for (const double value : values) {
    if (std::isnan(value)) continue;
    sum += value;
    ++known;
  }
  return sum / known;
}

}  // namespace

StepRecorder::StepRecorder(comm::Communicator& communicator, RunLog& log, TrainingState& state, int nonfinite_limit,
                           bool waits, std::string against_collapse)
    : communicator_(communicator),
      log_(log),
      state_(state),
      nonfinite_limit_(nonfinite_limit),
      waits_(waits),
      against_collapse_(std::move(against_collapse)) {}

void StepRecorder::begin() {
  begin_ = Clock::now();
  sent_before_ = communicator_.bytes_sent();
}

void StepRecorder::add(const data::StepBatch& batch, const std::vector<data::Pair>& pairs, double learning_rate,
                       const at::Tensor& figures, const UpdateReport& update) {
  StepRecord record;
  record.step = state_.step;
  record.learning_rate = learning_rate;
  for (const data::Pair& pair : pairs) {
    if (!record.pair.empty()) record.pair += ',';
    record.pair += pair.name();
  }
  for (const data::DrawSummary& draw : batch.draws) {
    record.sentences += draw.sentences;
    record.tokens += draw.tokens;
    record.labelled += draw.label_count;
  }
  record.bytes_sent = communicator_.bytes_sent() - sent_before_;
  StepFigures copied({figures, update}, communicator_);
  finish();
  queued_.emplace(Queued{std::move(record), pairs, begin_, std::move(copied)});
  if (waits_) finish();
}

void StepRecorder::finish() {
  if (!queued_) return;
  Queued step = std::move(*queued_);
  queued_.reset();
  StepRecord& record = step.record;
  const std::vector<double> losses = step.figures.losses(), spreads = step.figures.spreads();
  record.loss = std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(losses.size());
  record.spread = mean_of_known(spreads);
  record.gradient_norm = step.figures.gradient_norm();
  record.skipped = !std::isfinite(record.gradient_norm);
  record.seconds = seconds_since(std::max(step.begin, last_finish_));
  last_finish_ = Clock::now();
  log_.step(record);
  check_finite(record);
  check_collapse(record.step, step.pairs, spreads);
}

void StepRecorder::check_collapse(int64_t step, const std::vector<data::Pair>& pairs,
                                  const std::vector<double>& spreads) {
  std::map<std::string, std::vector<double>> by_task;
  for (size_t i = 0; i < pairs.size(); ++i) by_task[pairs[i].task].push_back(spreads[i]);
  for (const auto& [task, own] : by_task)
    if (collapse_.add(task, mean_of_known(own)) && communicator_.rank() == 0)
      log::warning(
          "step {}: in {} steps with {} the last hidden states of all words were nearly the same (spread {:.5f}): what "
          "is trained has collapsed, and the loss will stay at that of the label frequencies. Begin again in another "
          "run.dir with {}",
          step, CollapseWatch::kSteps, task, mean_of_known(own), against_collapse_);
}

void StepRecorder::check_finite(const StepRecord& record) {
  if (!record.skipped) {
    state_.skipped_in_a_row = 0;
    return;
  }
  ++state_.skipped_steps;
  ++state_.skipped_in_a_row;
  if (communicator_.rank() == 0)
    log::warning("step {} {}: the gradient's norm is not finite: update skipped on all ranks ({} so far)", record.step,
                 record.pair, state_.skipped_steps);
  if (state_.skipped_in_a_row >= nonfinite_limit_)
    throw Diverged(fmt::format("the training diverged: the gradient was not finite {} times in a row, last at step {} "
                               "with {}",
                               state_.skipped_in_a_row, record.step, record.pair),
                   record.step);
}

}  // namespace hyperx::train

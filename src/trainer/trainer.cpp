#include "trainer/trainer.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/clock.h"
#include "common/log.h"
#include "common/progress.h"
#include "trainer/run/same_run.h"
#include "trainer/schedule.h"

namespace hyperx::train {
namespace {

// What a save copies: the trained values and their two moments.
int64_t state_bytes(const model::Model& model) {
  return 3 * model.parameters().element_count() * (model.options().compute == at::kDouble ? 8 : 4);
}

// How the blocks' gradients travel, without the plain sums if there is anything else.
std::string exchange_names(const model::ParameterSet& parameters) {
  std::string names;
  for (const auto& block : parameters.blocks())
    if (block->exchange() != std::string("sum")) names += (names.empty() ? "" : ", ") + std::string(block->exchange());
  return names.empty() ? "sum" : names;
}

}  // namespace

Trainer::Trainer(TrainerParts parts)
    : parts_(std::move(parts)),
      config_(parts_.config),
      mixture_(make_mixture(parts_.corpus, parts_.train_pairs, config_.train)),
      maker_(parts_.corpus, parts_.train_pairs, "train", config_.data.max_subwords, config_.train.seed),
      optimizer_(parts_.model.parameters(), update_options(config_.train)),
      exchange_(parts_.communicator, parts_.model.parameters()),
      step_(config_, parts_.communicator, parts_.model, optimizer_, exchange_) {
  if (config_.train.warmup_steps > mixture_.total_steps())
    throw UserError(
        ExitCode::kBadConfig,
        fmt::format("train.warmup_steps = {} is more than the {} steps of train.epochs = {}: the rate would "
                    "never reach its height; set train.warmup_steps too",
                    config_.train.warmup_steps, mixture_.total_steps(), config_.train.epochs));
  choose_evaluated_pairs();
  if (parts_.resume_from) resume(*parts_.resume_from);
  if (state_.step < mixture_.total_steps() && parts_.model.options().device.is_cuda()) try_largest_batches();
  const bool writes = parts_.communicator.rank() == 0;
  RunState run_state;
  run_state.step = state_.step;
  run_state.steps = mixture_.total_steps();
  run_state.world_size = parts_.communicator.size();
  run_state.started = utc_time();
  run_state.best_score = state_.best_score;
  if (state_.step > 0) run_state.checkpoint = checkpoint_name(state_.step);
  log_ = std::make_unique<RunLog>(parts_.run, writes, state_.step, mixture_.total_steps(), run_state);
  if (writes)
    writer_ = std::make_unique<CheckpointWriter>(
        CheckpointWriterOptions{parts_.run.checkpoints(), config_.checkpoint.keep_last, config_.checkpoint.keep_best,
                                at::get_num_threads(), state_bytes(parts_.model)});
  if (state_.step < mixture_.total_steps())
    loader_ = std::make_unique<data::BatchLoader>(
        maker_, mixture_, loader_options(config_.train, parts_.communicator, exchange_, state_.step));
}

void Trainer::try_largest_batches() {
  const data::StepShare share = loader_options(config_.train, parts_.communicator, exchange_, 0).share;
  for (const data::StepPlan& plan :
       data::largest_steps(maker_, config_.train.pairs_per_step, config_.train.batch_sentences)) {
    const data::StepBatch batch = data::make_step(maker_, plan, share);
    step_.try_out(batch, pairs_of(batch));
  }
}

void Trainer::resume(const std::string& folder) {
  const Checkpoint checkpoint = Checkpoint::open(folder);
  const std::vector<std::string> changes =
      check_same_run(ModelInfo::from_json(checkpoint.model_info(), folder), parts_.info, folder);
  load_values(parts_.model.parameters(), [&](const auto& targets) { checkpoint.load_model(targets); });
  load_moments(parts_.model.parameters(), [&](const auto& targets) { checkpoint.load_optimizer(targets); });
  state_ = TrainingState::from_json(checkpoint.train_state(), folder);
  optimizer_.set_counts(state_.update_counts, folder);
  if (mixture_.cursors(state_.step) != state_.cursors)
    throw UserError(ExitCode::kBadConfig, folder + ": its place in the data at step " + std::to_string(state_.step) +
                                              " is not what this corpus gives: the corpus of train.pairs must be the "
                                              "one that the run began with");
  saved_step_ = state_.step;
  log::info("resumed from {} at step {}", folder, state_.step);
  if (parts_.communicator.rank() != 0) return;
  for (const std::string& change : changes) log::warning("from step {} on: {}", state_.step + 1, change);
}

ExitCode Trainer::run() {
  log_start();
  log_->set_state("running");
  if (state_.step >= mixture_.total_steps())
    log::info("finished already, at step {} of {}: train.steps or train.epochs above that goes on", state_.step,
              mixture_.total_steps());
  evaluate_what_a_stop_left_out();
  Control control;
  while (state_.step < mixture_.total_steps() && !control.stop) {
    const auto section = parts_.watchdog.enter("step", state_.step + 1);
    const Clock::time_point start = Clock::now();
    const int64_t sent_before = parts_.communicator.bytes_sent();
    const data::StepBatch batch = loader_->next(state_.step);
    StepRecord record;
    record.learning_rate = learning_rate(config_.train, state_.step, mixture_.total_steps());
    const TrainingStep::Result result = step_.run(batch, pairs_of(batch), record.learning_rate);
    ++state_.step;
    record.step = state_.step;
    record.pair = pair_names(batch);
    for (const data::DrawSummary& draw : batch.draws) {
      record.sentences += draw.sentences;
      record.tokens += draw.tokens;
      record.labelled += draw.label_count;
    }
    record.bytes_sent = parts_.communicator.bytes_sent() - sent_before;
    StepFigures figures(result, parts_.communicator);
    finish_step();  // the one before, while a GPU works on this one
    queued_.emplace(QueuedStep{std::move(record), start, std::move(figures)});
    if (parts_.model.options().device.is_cpu()) finish_step();
    control = agree();  // all ranks as one
    if (control.stop || control.evaluate || control.save) finish_step();
    if (control.evaluate) control.save = (evaluate() && config_.checkpoint.keep_best > 0) || control.save;
    if (control.save) save();
  }
  finish_step();
  if (saved_step_ != state_.step) save();
  if (writer_) {
    const auto section = parts_.watchdog.enter("checkpoint", state_.step);
    writer_->wait();
    if (writer_->failure()) throw SystemError("the last checkpoint could not be saved: " + *writer_->failure());
  }
  parts_.communicator.barrier();
  const bool finished = state_.step >= mixture_.total_steps();
  note_saved_checkpoint();
  log_->set_state(finished ? "finished" : "saved");
  if (!finished)
    log::info("stopped by {} at step {}: all is saved; the same line with --resume auto goes on",
              comm::StopRequest::name(control.signal), state_.step);
  return finished ? ExitCode::kDone : ExitCode::kSavedRunAgain;
}

void Trainer::finish_step() {
  if (!queued_) return;
  StepRecord& record = queued_->record;
  const std::vector<double> losses = queued_->figures.losses();
  for (const double loss : losses) record.loss += loss / static_cast<double>(losses.size());
  record.gradient_norm = queued_->figures.gradient_norm();
  record.skipped = !std::isfinite(record.gradient_norm);
  record.seconds = seconds_since(std::max(queued_->begin, last_finish_));
  last_finish_ = Clock::now();
  note_saved_checkpoint();
  log_->step(record);
  check_finite(record);
  queued_.reset();
}

void Trainer::check_finite(const StepRecord& record) {
  if (!record.skipped) {
    state_.skipped_in_a_row = 0;
    return;
  }
  ++state_.skipped_steps;
  ++state_.skipped_in_a_row;
  if (parts_.communicator.rank() == 0)
    log::warning("step {} {}: the gradient's norm is not finite: update skipped on all ranks ({} so far)", record.step,
                 record.pair, state_.skipped_steps);
  if (state_.skipped_in_a_row >= config_.train.nonfinite_limit)
    throw UserError(ExitCode::kBadData, "the training diverged: the gradient was not finite " +
                                            std::to_string(state_.skipped_in_a_row) + " times in a row, last at step " +
                                            std::to_string(record.step) + " with " + record.pair +
                                            ". Go on from the last checkpoint with a lower train.learning_rate");
}

Trainer::Control Trainer::agree() {
  Control control;
  control.signal = static_cast<int>(parts_.communicator.all_reduce_max({parts_.stop.signal()})[0]);
  control.stop = control.signal != 0;
  control.evaluate = !control.stop && is_due(config_.eval.every);
  control.save = control.stop || is_due(config_.checkpoint.every);
  return control;
}

void Trainer::choose_evaluated_pairs() {
  if (config_.eval.every <= 0) return;
  const auto pairs_of_set = [&](const std::string& set, const char* key) {
    return scorable_pairs(parts_.corpus, set, config_.eval.split, parts_.model.options(), key);
  };
  evaluated_pairs_ = pairs_of_set(config_.eval.pairs, "eval.pairs");
  deciding_pairs_.insert(evaluated_pairs_.begin(), evaluated_pairs_.end());
  if (config_.checkpoint.select.empty()) return;
  const std::set<data::Pair> evaluated = std::exchange(deciding_pairs_, {});
  for (const data::Pair& pair : pairs_of_set(config_.checkpoint.select, "checkpoint.select")) {
    if (!evaluated.contains(pair))
      throw UserError(ExitCode::kBadConfig,
                      fmt::format("checkpoint.select = '{}' chooses the best checkpoint by {}, which eval.pairs = '{}' "
                                  "does not score: name it there too",
                                  config_.checkpoint.select, pair.name(), config_.eval.pairs));
    deciding_pairs_.insert(pair);
  }
}

// A run that a signal stopped at a step of eval.every saved at once, without the evaluation.
void Trainer::evaluate_what_a_stop_left_out() {
  if (state_.step == 0 || !is_due(config_.eval.every) || state_.evaluated_step == state_.step) return;
  evaluate();
  save();  // with its score
}

bool Trainer::evaluate() {
  const auto section = parts_.watchdog.enter("evaluation", state_.step);
  const Clock::time_point start = Clock::now();
  Evaluator evaluator(parts_.model, parts_.corpus, parts_.communicator, config_, [&] {
    parts_.watchdog.beat();
    log_->heartbeat();
  });
  const std::vector<data::EvaluationResult> results = evaluator.evaluate(evaluated_pairs_, config_.eval.split);
  double score = 0;
  int64_t scored = 0;
  for (const data::EvaluationResult& result : results) {
    if (result.pair.task == "mlm" || !deciding_pairs_.contains(result.pair)) continue;
    score += result.main_value();
    ++scored;
  }
  state_.evaluated_step = state_.step;
  step_score_.reset();
  if (scored > 0) step_score_ = score / static_cast<double>(scored);
  const bool is_best = step_score_ && (!state_.best_score || *step_score_ > *state_.best_score);
  if (is_best) state_.best_score = step_score_;
  log_->state().best_score = state_.best_score;
  log_->evaluation(state_.step, results, seconds_since(start));
  return is_best;
}

void Trainer::save() {
  saved_step_ = state_.step;
  const auto section = parts_.watchdog.enter("checkpoint", state_.step);
  const model::NamedTensors values = saved_values(parts_.model.parameters(), parts_.communicator);
  const model::NamedTensors moments = saved_moments(parts_.model.parameters(), parts_.communicator);
  if (writer_) hand_over(values, moments);
  parts_.communicator.barrier();  // all wait within this section's limit, which is longer than a step's
}

void Trainer::hand_over(const model::NamedTensors& values, const model::NamedTensors& moments) {
  state_.cursors = mixture_.cursors(state_.step);
  state_.update_counts = optimizer_.counts();
  const HostTensors model(values), optimizer(moments);
  CheckpointContent content;
  content.step = state_.step;
  content.model = model.refs;
  content.optimizer = optimizer.refs;
  content.model_info = parts_.info.to_json();
  content.train_state = state_.to_json();
  content.manifest = {{"world_size", parts_.communicator.size()}, {"config", dump_config(config_)}};
  if (state_.evaluated_step == state_.step) content.score = step_score_;
  const CheckpointPause pause = writer_->submit(content);
  log_->checkpoint(state_.step, pause.seconds, pause.waited_seconds, pause.bytes);
}

void Trainer::note_saved_checkpoint() {
  if (writer_ && writer_->last_saved()) log_->saved(checkpoint_name(*writer_->last_saved()));
}

std::vector<data::Pair> Trainer::pairs_of(const data::StepBatch& batch) const {
  std::vector<data::Pair> pairs;
  for (const data::DrawSummary& draw : batch.draws) pairs.push_back(maker_.pairs()[static_cast<size_t>(draw.pair)]);
  return pairs;
}

std::string Trainer::pair_names(const data::StepBatch& batch) const {
  std::string names;
  for (const data::Pair& pair : pairs_of(batch)) {
    if (!names.empty()) names += ',';
    names += pair.name();
  }
  return names;
}

void Trainer::log_start() const {
  const auto& communicator = parts_.communicator;
  log::info("{} ranks ({}), {} threads each, products in {}, exchange {}, {} trained values", communicator.size(),
            communicator.backend(), at::get_num_threads(), c10::toString(parts_.model.options().compute),
            exchange_names(parts_.model.parameters()),
            format_count(static_cast<double>(parts_.model.parameters().element_count())));
  for (size_t i = 0; i < mixture_.pairs().size(); ++i)
    log::info("  {:<10} {:>7} sentences, {:>6} batches, drawn {:.1f} %", mixture_.pairs()[i].pair.name(),
              mixture_.pairs()[i].sentences, mixture_.batch_counts()[i], 100.0 * mixture_.probabilities()[i]);
}

}  // namespace hyperx::train

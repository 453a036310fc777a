#include "trainer/trainer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <utility>

#include "common/clock.h"
#include "common/log.h"
#include "common/progress.h"
#include "model/options.h"
#include "trainer/comm/rank_zero.h"
#include "trainer/evaluation/evaluation.h"
#include "trainer/run/same_run.h"
#include "trainer/schedule.h"

namespace hyperx::train {
namespace {

// Bytes that a save copies: the trained values and their two moments.
int64_t state_bytes(const model::Model& model) {
  return 3 * model.parameters().element_count() * (model.options().compute == at::kDouble ? 8 : 4);
}

}  // namespace

Trainer::Trainer(TrainerParts parts)
    : parts_(std::move(parts)),
      config_(parts_.config),
      mixture_(make_mixture(parts_.corpus, parts_.train_pairs, config_.train)),
      maker_(parts_.corpus, parts_.train_pairs, "train", config_.data.max_subwords, config_.train.seed),
      optimizer_(parts_.model.parameters(), update_options(config_.train)),
      exchange_(parts_.communicator, parts_.model.parameters()),
      step_(config_, parts_.communicator, parts_.model),
      selection_(config_, parts_.corpus, parts_.model.options()) {
  if (config_.train.warmup_steps > mixture_.total_steps())
    throw UserError(
        ExitCode::kBadConfig,
        fmt::format("train.warmup_steps = {} is more than the {} steps of train.epochs = {}: the rate would "
                    "never reach its height; set train.warmup_steps too",
                    config_.train.warmup_steps, mixture_.total_steps(), config_.train.epochs));
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
  log_ = std::make_unique<RunLog>(parts_.run, writes, state_.step, mixture_.total_steps(), run_state, parts_.lock,
                                  kHeartbeatSeconds, metrics_mark_);
  if (config_.run.tensorboard) log_->add_tensorboard();
  steps_ = std::make_unique<StepRecorder>(parts_.communicator, *log_, state_, config_.train.nonfinite_limit,
                                          parts_.model.options().device.is_cpu(),
                                          model::find_method_spec(config_.model.method).against_collapse);
  if (writes)
    writer_ = std::make_unique<CheckpointWriter>(
        CheckpointWriterOptions{parts_.run.checkpoints(), config_.checkpoint.keep_last, config_.checkpoint.keep_best,
                                at::get_num_threads(), state_bytes(parts_.model), parts_.lock});
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
  const std::vector<std::string> changes = check_same_run(saved_run(checkpoint), parts_.info, folder);
  load_values(parts_.model.parameters(), [&](const auto& targets) { checkpoint.load_model(targets); });
  load_moments(parts_.model.parameters(), [&](const auto& targets) { checkpoint.load_optimizer(targets); });
  state_ = TrainingState::from_json(checkpoint.train_state(), folder);
  optimizer_.set_counts(state_.update_counts, folder);
  if (mixture_.cursors(state_.step) != state_.cursors)
    throw UserError(ExitCode::kBadConfig, folder + ": its place in the data at step " + std::to_string(state_.step) +
                                              " is not what this corpus gives: the corpus of train.pairs must be the "
                                              "one that the run began with");
  saved_step_ = state_.step;
  const nlohmann::json mark = checkpoint.manifest().all.value("metrics", nlohmann::json());  // 0.2.0 did not record it
  if (mark.is_object()) metrics_mark_ = {mark.value("bytes", int64_t{0}), mark.value("xxh128", "")};
  log::info("resumed from {} at step {}", folder, state_.step);
  if (parts_.communicator.rank() != 0) return;
  for (const std::string& change : changes) log::warning("from step {} on: {}", state_.step + 1, change);
}

ExitCode Trainer::run() try {
  start();
  Control control;
  while (state_.step < mixture_.total_steps() && !control.stop) {
    const auto section = parts_.watchdog.enter("step", state_.step + 1);
    steps_->begin();
    // 1 batch: this rank's share of the step's mini-batches, each of one pair of task and language
    const data::StepBatch batch = loader_->next(state_.step);
    // 2, 3 forward, backward: down to the gradients of adapters, LayerNorms and heads
    at::Tensor figures = step_.forward_backward(batch, pairs_of(batch), &exchange_);
    // 4 exchange: from here on losses and gradients are those of the whole step, equal on all ranks
    exchange_.exchange(figures, batch.owners);
    // 5 update: Adam on every block that the pairs use
    const double rate = learning_rate(config_.train, state_.step, mixture_.total_steps());
    const UpdateReport update = optimizer_.update(rate);
    ++state_.step;
    record(batch, rate, figures, update);
    // 6 agree: all ranks decide together what to do next
    control = agree();
    if (control.evaluate) evaluate();
    if (control.save || (best_is_new_ && state_.skipped_in_a_row == 0)) save();
  }
  return finish(control.signal);
} catch (const Diverged& error) {
  end_diverged(error);
}

void Trainer::end_diverged(const Diverged& error) {
  const std::string good = comm::on_rank_zero(parts_.communicator, [&] {
    writer_->wait();
    if (parts_.lock != nullptr) parts_.lock->check();
    return drop_diverged(parts_.run.checkpoints(), error.last_step - state_.skipped_in_a_row,
                         config_.checkpoint.keep_best);
  });
  const std::string advice =
      good.empty() ? "No checkpoint from before that is left: begin again in another run.dir with a lower "
                     "train.learning_rate"
                   : "The last good checkpoint is " + good +
                         ": the same command with --resume auto and a lower "
                         "train.learning_rate continues from it";
  throw UserError(error.code(), std::string(error.what()) + ". " + advice);
}

void Trainer::start() {
  log_start();
  log_->set_state("running");
  if (state_.step >= mixture_.total_steps())
    log::info("finished already, at step {} of {}: raise train.steps or train.epochs to continue", state_.step,
              mixture_.total_steps());
  evaluate_what_a_stop_left_out();
}

// A run that a signal stopped at a multiple of eval.every saved at once, without the evaluation.
void Trainer::evaluate_what_a_stop_left_out() {
  if (state_.step == 0 || !is_due(config_.eval.every) || state_.evaluated_step == state_.step) return;
  evaluate();
  save();  // with its score
}

void Trainer::record(const data::StepBatch& batch, double rate, const at::Tensor& figures, const UpdateReport& update) {
  steps_->add(batch, pairs_of(batch), rate, figures, update);
  note_saved_checkpoint();
}

ExitCode Trainer::finish(int signal) {
  steps_->finish();
  const bool finished = state_.step >= mixture_.total_steps();
  // While updates are skipped the weights may be the cause: a stop then leaves it at the checkpoint before.
  const bool leaves_it = !finished && state_.skipped_in_a_row > 0 && saved_step_ >= 0;
  if (saved_step_ != state_.step && !leaves_it) save_at_end();
  if (writer_) {
    const auto section = parts_.watchdog.enter("checkpoint", state_.step);
    writer_->wait();
    if (parts_.lock != nullptr) parts_.lock->check();  // explains the end better than a failed checkpoint
    if (writer_->failure()) throw SystemError("the last checkpoint could not be saved: " + *writer_->failure());
  }
  parts_.communicator.barrier();
  if (writer_ && writer_->last_saved() && finished && state_.skipped_in_a_row == 0) writer_->prune();
  note_saved_checkpoint();
  log_->set_state(finished ? "finished" : "saved");
  if (!finished)
    log::info("stopped by {} at step {}: {}; run the same line again, with --resume auto, to continue",
              comm::StopRequest::name(signal), state_.step,
              leaves_it ? fmt::format("the last {} updates were skipped, so nothing after step {} is saved",
                                      state_.skipped_in_a_row, saved_step_)
                        : "everything is saved");
  return finished ? ExitCode::kDone : ExitCode::kSavedRunAgain;
}

Trainer::Control Trainer::agree() {
  Control control;
  control.signal = static_cast<int>(parts_.communicator.all_reduce_max({parts_.stop.signal()})[0]);
  control.stop = control.signal != 0;
  control.evaluate = !control.stop && is_due(config_.eval.every);
  if (control.stop || !is_due(config_.checkpoint.every)) return control;  // finish() saves after a stop
  steps_->finish();
  control.save = state_.skipped_in_a_row == 0;  // else the weights may be the cause
  return control;
}

void Trainer::evaluate() {
  steps_->finish();
  const auto section = parts_.watchdog.enter("evaluation", state_.step);
  const Clock::time_point start = Clock::now();
  Evaluator evaluator(parts_.model, parts_.corpus, parts_.communicator, config_, [&] {
    parts_.watchdog.beat();
    log_->heartbeat();
  });
  const auto results = evaluator.evaluate(selection_.evaluated(), config_.eval.split);
  state_.evaluated_step = state_.step;
  step_score_ = selection_.score(results);
  const bool is_best = step_score_ && state_.take_score(step_score_->value, step_score_->of);
  best_is_new_ = is_best && config_.checkpoint.keep_best > 0;
  log_->state().best_score = state_.best_score;
  log_->evaluation(state_.step, results, seconds_since(start));
}

// The end of a run is saved even if the last updates were skipped; the last good checkpoint is then kept, too.
void Trainer::save_at_end() {
  save();
  if (state_.skipped_in_a_row == 0 || parts_.communicator.rank() != 0) return;
  log::warning(
      "the last {} updates were skipped, because the gradient was not finite: the checkpoint of step {} may not be "
      "usable; the newest one of a step before {} is kept, too",
      state_.skipped_in_a_row, state_.step, good_before());
}

void Trainer::save() {
  steps_->finish();
  saved_step_ = state_.step;
  best_is_new_ = false;
  const auto section = parts_.watchdog.enter("checkpoint", state_.step);
  if (loader_) loader_->require_verified([this] { parts_.watchdog.beat(); });  // no checkpoint of damaged data
  const model::NamedTensors values = saved_values(parts_.model.parameters(), parts_.communicator);
  const model::NamedTensors moments = saved_moments(parts_.model.parameters(), parts_.communicator);
  if (writer_) hand_over(values, moments);
  parts_.communicator.barrier();  // all ranks wait within this section's limit, which is longer than a step's
}

void Trainer::hand_over(const model::NamedTensors& values, const model::NamedTensors& moments) {
  state_.cursors = mixture_.cursors(state_.step);
  state_.update_counts = optimizer_.counts();
  const HostTensors model(values), optimizer(moments);
  CheckpointContent content;
  content.step = state_.step;
  content.model = model.refs;
  content.optimizer = optimizer.refs;
  content.model_info = parts_.info.to_json(parts_.run.path);
  content.train_state = state_.to_json();
  content.train_state["settings"] = parts_.info.settings_to_json();
  const MetricsMark mark = log_->metrics_mark();
  content.manifest = {{"world_size", parts_.communicator.size()},
                      {"config", dump_config(model::options(), config_)},
                      {"metrics", {{"bytes", mark.bytes}, {"xxh128", mark.xxh128}}}};
  content.synced_first = parts_.run.metrics();
  content.good_before = good_before();
  if (state_.evaluated_step == state_.step && step_score_) {
    content.score = step_score_->value;
    content.score_of = step_score_->of;
  }
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

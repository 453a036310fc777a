#include "trainer/run/run_log.h"

#include <algorithm>
#include <cmath>
#include <thread>
#include <utility>

#include "common/errors.h"
#include "common/log.h"
#include "common/progress.h"

namespace hyperx::train {
namespace {

constexpr double kLineEverySeconds = 5;
constexpr int kLastTries = 5;  // one second apart, at the end of a run

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

nlohmann::json metrics_json(const data::MetricSet& metrics) {
  nlohmann::json object = nlohmann::json::object();
  for (const auto& [name, value] : metrics.values) object[name] = value;
  return object;
}

}  // namespace

RunLog::RunLog(const RunDir& run, bool writes, int64_t first_step, int64_t total_steps, RunState state,
               const RunLock* lock, double retry_seconds, const std::optional<MetricsMark>& mark)
    : run_(run),
      writes_(writes),
      first_step_(first_step),
      total_steps_(total_steps),
      state_(std::move(state)),
      lock_(lock),
      retry_seconds_(retry_seconds) {
  start_ = last_line_ = last_heartbeat_ = Clock::now();
  if (!writes_) return;
  metrics_ = std::make_unique<MetricsFile>(run.metrics(), first_step, mark);
  for (const std::string& problem : metrics_->problems())
    log::warning("{}: {}; steps up to {} are not run again", run.metrics(), problem, first_step);
  if (metrics_->lines_cut() > 0)
    log::info("metrics.jsonl: {} lines after step {} are cut off: these steps run again", metrics_->lines_cut(),
              first_step);
}

template <class Write>
bool RunLog::attempt(Trouble& trouble, const Write& write) {
  if (lock_ != nullptr) lock_->check();
  try {
    write();
  } catch (const SystemError& error) {
    trouble.reason = error.what();
    trouble.last = Clock::now();
    if (++trouble.failures == 1) log::warning("{}; the run continues and will try again", trouble.reason);
    return false;
  }
  if (trouble.failures > 0) {
    const Trouble past = std::exchange(trouble, {});
    log::info("written again after {} failed tries: {}", past.failures, past.reason);
  }
  return true;
}

bool RunLog::flush_metrics() {
  return attempt(metrics_trouble_, [&] { metrics_->flush(); });
}

bool RunLog::flush_tensorboard() {
  return attempt(tensorboard_trouble_, [&] { tensorboard_->flush(); });
}

bool RunLog::may_try(const Trouble& trouble) const {
  return trouble.failures == 0 || seconds_between(trouble.last, Clock::now()) >= retry_seconds_;
}

bool RunLog::write_state(bool sync) {
  return attempt(state_trouble_, [&] { write_run_state(run_, state_, sync); });
}

void RunLog::add_line(const nlohmann::json& object) {
  metrics_->add(object);
  if (may_try(metrics_trouble_)) flush_metrics();
  if (!tensorboard_) return;
  tensorboard_->add(object, wall_time_now());
  if (may_try(tensorboard_trouble_)) flush_tensorboard();
}

void RunLog::add_tensorboard() {
  if (!writes_) return;
  if (lock_ != nullptr) lock_->check();
  try {
    tensorboard_ = std::make_unique<TensorboardFile>(run_);
  } catch (const std::runtime_error& error) {  // UserError, SystemError
    log::warning("no event files for TensorBoard: {}; the run continues without, metrics.jsonl has all of it",
                 error.what());
  }
}

void RunLog::step(const StepRecord& record) {
  if (!writes_) return;
  nlohmann::json object = {{"event", "step"},
                           {"step", record.step},
                           {"pair", record.pair},
                           {"loss", record.loss},
                           {"grad_norm", record.gradient_norm},
                           {"spread", record.spread},
                           {"learning_rate", record.learning_rate},
                           {"sentences", record.sentences},
                           {"tokens", record.tokens},
                           {"labelled", record.labelled},
                           {"bytes_sent", record.bytes_sent},
                           {"seconds", record.seconds}};
  if (record.skipped) object["skipped"] = true;
  add_line(object);
  state_.step = record.step;
  tokens_since_line_ += record.tokens;
  progress_line(record);
  heartbeat();
}

void RunLog::heartbeat() {
  if (!writes_ || seconds_between(last_heartbeat_, Clock::now()) < kHeartbeatSeconds) return;
  write_state(false);
  last_heartbeat_ = Clock::now();
}

void RunLog::saved(const std::string& checkpoint) {
  if (!writes_ || checkpoint == state_.checkpoint) return;
  state_.checkpoint = checkpoint;
  write_state(false);
}

void RunLog::progress_line(const StepRecord& record) {
  const Clock::time_point now = Clock::now();
  const double since = seconds_between(last_line_, now);
  const bool edge = record.step == first_step_ + 1 || record.step == total_steps_;
  if (!edge && since < kLineEverySeconds) return;
  const double elapsed = seconds_between(start_, now);
  const int64_t done = record.step - first_step_;
  const double left =
      done > 0 ? elapsed / static_cast<double>(done) * static_cast<double>(total_steps_ - record.step) : 0;
  const std::string spread = std::isnan(record.spread) ? "" : fmt::format(" spread {:.3f}", record.spread);
  log::info("step {}/{} {} loss {:.3f}{} | {} tok/s | elapsed {} left {}", record.step, total_steps_, record.pair,
            record.loss, spread, format_count(static_cast<double>(tokens_since_line_) / std::max(since, 1e-9)),
            format_duration(elapsed), format_duration(left));
  last_line_ = now;
  tokens_since_line_ = 0;
}

void RunLog::evaluation(int64_t step, const std::vector<data::EvaluationResult>& results, double seconds) {
  if (!writes_) return;
  for (const data::EvaluationResult& result : results) {
    nlohmann::json object = {{"event", "evaluation"},
                             {"step", step},
                             {"pair", result.pair.name()},
                             {"split", result.split},
                             {"main_metric", result.main_metric},
                             {"metrics", metrics_json(result.metrics)},
                             {"sentences", result.sentences},
                             {"words", result.words}};
    if (result.novel) object["novel"] = metrics_json(*result.novel);
    add_line(object);
    log::info("step {} {} {} {} {:.4f}", step, result.split, result.pair.name(), result.main_metric,
              result.main_value());
  }
  log::info("step {}: {} pairs evaluated in {}", step, results.size(), format_duration(seconds));
}

void RunLog::checkpoint(int64_t step, double pause_seconds, double waited_seconds, int64_t bytes) {
  if (!writes_) return;
  add_line({{"event", "checkpoint"},
            {"step", step},
            {"pause_seconds", pause_seconds},
            {"waited_seconds", waited_seconds},
            {"bytes", bytes}});
  log::info("step {}: checkpoint of {} handed over in {:.3f} s", step, format_bytes(static_cast<double>(bytes)),
            pause_seconds);
}

void RunLog::set_state(const std::string& state) {
  state_.state = state;
  if (!writes_) return;
  const int tries = state == "running" ? 1 : kLastTries;
  bool state_written = false, metrics_written = false;
  for (int i = 0; i < tries && !(state_written && metrics_written); ++i) {
    if (i > 0) std::this_thread::sleep_for(std::chrono::seconds(1));
    state_written = state_written || write_state(true);
    metrics_written = flush_metrics();
  }
  if (tries == 1) return;
  if (tensorboard_ && !flush_tensorboard())
    log::error("the event files for TensorBoard are incomplete: {}", tensorboard_trouble_.reason);
  if (!state_written) log::error("state.json does not say that the run is {}: {}", state, state_trouble_.reason);
  if (!metrics_written)
    log::error("metrics.jsonl lacks {} lines: {}", metrics_->lines_waiting(), metrics_trouble_.reason);
}

}  // namespace hyperx::train

#include "app/run_status.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "common/errors.h"
#include "common/read_error.h"
#include "common/short_values.h"
#include "common/text_table.h"

namespace hyperx {
namespace {

constexpr char kDamaged[] = "damaged";

std::string text_of(const nlohmann::json& object, const char* key) {
  return object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : "?";
}

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }, ' ');
  return with_short_values(text);
}

std::string reason_of(const RunStatus& status) {
  const train::RunState& stored = status.stored;
  const std::string step = "step " + std::to_string(stored.step) + " of " + std::to_string(stored.steps) + ": ";
  if (status.state == "lost")
    return one_line(step + stored.process.text() + " is gone without a word; `hyperx train ... --resume auto` " +
                    "continues from " + (stored.checkpoint.empty() ? "the start" : stored.checkpoint) +
                    ", or a later checkpoint");
  if (status.state != "failed" || !stored.failure) return "";
  const train::RunFailure& failure = *stored.failure;
  return one_line("rank " + std::to_string(failure.rank) + " on " + failure.host + " failed at step " +
                  std::to_string(failure.step) + ", section " + failure.section + ": " + failure.reason);
}

void read_status(const train::RunDir& run, RunStatus& status) {
  if (kind_of(run.state()) == PathKind::kNothing)
    throw UserError(ExitCode::kNoInput, run.state() + ": is missing: its start was killed, or the file was removed");
  status.stored = train::read_run_state(run);
  status.state = train::observed_state(run, status.stored);
  // It may have ended between the two reads: then its last state is in the file by now.
  if (status.state == "lost") {
    status.stored = train::read_run_state(run);
    status.state = train::observed_state(run, status.stored);
  }
  if (std::find(status_states().begin(), status_states().end(), status.state) == status_states().end())
    throw UserError(ExitCode::kBadData, run.state() + ": its state is '" + status.state + "', which is none of a run");
  status.metrics = train::read_metrics_tail(run.metrics());
  status.heartbeat_age = train::silent_seconds(run, status.stored);
  const auto left = static_cast<double>(status.stored.steps - status.stored.step);
  if (status.state == "running" && status.metrics.steps_per_second > 0)
    status.seconds_left = left / status.metrics.steps_per_second;
  status.reason = reason_of(status);
}

}  // namespace

const std::vector<std::string>& status_states() {
  static const std::vector<std::string> states = {"failed", "lost", kDamaged, "running", "queued", "saved", "finished"};
  return states;
}

RunStatus status_of(const std::string& run) {
  RunStatus status;
  status.run = run;
  try {
    read_status(train::RunDir{run}, status);
  } catch (const std::exception& error) {  // UserError, SystemError, or of the file system
    status = {};
    status.run = run;
    status.state = kDamaged;
    status.reason = one_line(error.what());
    status.error = std::current_exception();
  }
  return status;
}

nlohmann::json to_json(const RunStatus& status) {
  if (status.state == kDamaged) return {{"run", status.run}, {"state", status.state}, {"reason", status.reason}};
  const train::RunState& stored = status.stored;
  nlohmann::json object = {{"run", status.run},
                           {"state", status.state},
                           {"step", stored.step},
                           {"steps", stored.steps},
                           {"world_size", stored.world_size},
                           {"started", stored.started},
                           {"heartbeat", stored.heartbeat},
                           {"heartbeat_age_seconds", status.heartbeat_age},
                           {"process", stored.process.to_json()},
                           {"checkpoint", stored.checkpoint},
                           {"steps_per_second", status.metrics.steps_per_second},
                           {"tokens_per_second", status.metrics.tokens_per_second},
                           {"last_step", status.metrics.last_step},
                           {"last_evaluation", status.metrics.last_evaluation}};
  if (!status.reason.empty()) object["reason"] = status.reason;
  if (status.seconds_left) object["seconds_left"] = *status.seconds_left;
  if (stored.best_score) object["best_score"] = *stored.best_score;
  if (stored.failure)
    object["failure"] = {{"rank", stored.failure->rank},
                         {"host", stored.failure->host},
                         {"step", stored.failure->step},
                         {"section", stored.failure->section},
                         {"reason", stored.failure->reason}};
  return object;
}

// A score that is missing or not finite leaves out the mean, not the pair.
std::string evaluation_text(const std::vector<nlohmann::json>& lines) {
  if (lines.empty()) return "-";
  struct Scores {
    double sum = 0;
    int64_t pairs = 0;
    std::string pair;
  };
  std::map<std::string, Scores> scores;  // by main metric
  for (const nlohmann::json& line : lines) {
    const std::string metric = text_of(line, "main_metric");
    Scores& of_metric = scores[metric];
    of_metric.pair = text_of(line, "pair") + " ";
    of_metric.pairs += 1;
    const nlohmann::json metrics = line.value("metrics", nlohmann::json::object());
    const bool known = metrics.contains(metric) && metrics[metric].is_number();
    of_metric.sum += known ? metrics[metric].get<double>() : std::nan("");
  }
  std::string text;
  for (const auto& [metric, found] : scores) {
    const double mean = found.sum / static_cast<double>(found.pairs);
    text += (text.empty() ? "" : ", ") + (found.pairs == 1 ? found.pair : "") + metric + " " +
            (std::isfinite(mean) ? number_text(mean) : "-") +
            (found.pairs == 1 ? "" : " (" + std::to_string(found.pairs) + " pairs)");
  }
  return text + " @" + lines.back().value("step", nlohmann::json()).dump();
}

}  // namespace hyperx

#include <cmath>
#include <filesystem>
#include <iostream>
#include <map>

#include "app/commands.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/progress.h"
#include "common/text_table.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/run/metrics_file.h"
#include "trainer/run/run_state.h"

namespace hyperx {
namespace {

struct Status {
  std::string run;
  std::string state;  // as observed; may be "lost"
  train::RunState stored;
  train::MetricsTail metrics;
  double heartbeat_age = 0;  // seconds
  std::optional<double> seconds_left;
};

Status status_of(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const train::RunDir run{path};
  if (!std::filesystem::is_directory(path)) throw UserError(ExitCode::kNoInput, path + ": no such run folder");
  if (!std::filesystem::exists(run.state()))
    throw UserError(ExitCode::kNoInput, path + ": holds no run: it has no state.json");
  Status status;
  status.run = path;
  status.stored = train::read_run_state(run);
  status.state = train::observed_state(run, status.stored);
  // It may have ended between the two reads: then its last state is in the file by now.
  if (status.state == "lost") {
    status.stored = train::read_run_state(run);
    status.state = train::observed_state(run, status.stored);
  }
  status.metrics = train::read_metrics_tail(run.metrics());
  status.heartbeat_age = train::silent_seconds(run, status.stored);
  const auto left = static_cast<double>(status.stored.steps - status.stored.step);
  if (status.state == "running" && status.metrics.steps_per_second > 0)
    status.seconds_left = left / status.metrics.steps_per_second;
  return status;
}

nlohmann::json to_json(const Status& status) {
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

std::string number_of(const nlohmann::json& object, const char* key) {
  return object.is_object() && object.contains(key) && object[key].is_number() ? number_text(object[key].get<double>())
                                                                               : "-";
}

std::string text_of(const nlohmann::json& object, const char* key) {
  return object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : "?";
}

// For one pair "pos:en accuracy 0.91 @5000", for several the mean of each main metric: "accuracy 0.91 (3 pairs), f1
// 0.74 (2 pairs) @5000". A score that is missing or not finite leaves out the mean, not the pair.
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

void print_table(const std::vector<Status>& all) {
  TextTable table(
      {"run", "state", "step", "of", "steps/s", "tokens/s", "left", "loss", "evaluation", "checkpoint", "heartbeat"});
  for (const Status& status : all) {
    const train::MetricsTail& metrics = status.metrics;
    const auto rate = [](double value) { return value > 0 ? number_text(value) : std::string("-"); };
    table.add(
        {status.run, status.state, std::to_string(status.stored.step), std::to_string(status.stored.steps),
         rate(metrics.steps_per_second), metrics.tokens_per_second > 0 ? format_count(metrics.tokens_per_second) : "-",
         status.seconds_left ? format_duration(*status.seconds_left) : "-", number_of(metrics.last_step, "loss"),
         evaluation_text(metrics.last_evaluation), status.stored.checkpoint.empty() ? "-" : status.stored.checkpoint,
         status.heartbeat_age >= 0 ? format_duration(status.heartbeat_age) + " ago" : "-"});
  }
  table.print(std::cout, "");
  for (const Status& status : all) {
    if (status.stored.failure) {
      const train::RunFailure& failure = *status.stored.failure;
      std::cout << status.run << ": rank " << failure.rank << " on " << failure.host << " failed at step "
                << failure.step << ", section " << failure.section << ": " << failure.reason << "\n";
    }
    if (status.state == "lost")
      std::cout << status.run << ": process " << status.stored.process.pid << " on " << status.stored.process.host
                << " is gone without a word; `hyperx train ... --resume auto` continues from "
                << (status.stored.checkpoint.empty() ? "the start" : status.stored.checkpoint) << "\n";
  }
}

int run_status(const CommandLine& line) {
  if (line.objects.empty()) throw UserError(ExitCode::kUsage, "name a run folder, such as runs/quick");
  std::vector<Status> all;
  for (const std::string& object : line.objects) all.push_back(status_of(object));
  if (!line.has_flag("json")) {
    print_table(all);
    return 0;
  }
  nlohmann::json list = nlohmann::json::array();
  for (const Status& status : all) list.push_back(to_json(status));
  std::cout << list.dump(1) << "\n";
  return 0;
}

}  // namespace

Command status_command() {
  CommandSpec spec;
  spec.name = "status";
  spec.usage = "hyperx status RUN...";
  spec.summary = "shows the state of runs";
  spec.help =
      "States: queued, running, saved (stopped by a signal, can continue), finished, failed, and lost (recorded\n"
      "as running, but its process is gone).\n\n"
      "Example:\n"
      "  hyperx status runs/*";
  spec.flags = {{"json", "", "one JSON list instead of the table"}};
  return {spec, run_status};
}

}  // namespace hyperx

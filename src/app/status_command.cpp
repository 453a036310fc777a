#include <algorithm>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include "app/commands.h"
#include "app/run_status.h"
#include "common/errors.h"
#include "common/progress.h"
#include "common/text_table.h"
#include "trainer/run/find_runs.h"

namespace hyperx {
namespace {

// Of runs that were found in a folder, at most so many that are finished have a line of their own: the others must stay
// on one screen.
constexpr int64_t kFinishedLines = 40;

using StateCounts = std::map<std::string, int64_t>;

std::string number_of(const nlohmann::json& object, const char* key) {
  return object.is_object() && object.contains(key) && object[key].is_number() ? number_text(object[key].get<double>())
                                                                               : "-";
}

// The states that --state names; all of them without it.
std::set<std::string> wanted_states(const CommandLine& line) {
  const std::vector<std::string>& known = status_states();
  if (!line.has_flag("state")) return {known.begin(), known.end()};
  std::set<std::string> wanted;
  std::istringstream words(line.flag("state"));
  for (std::string word; std::getline(words, word, ',');) {
    if (std::find(known.begin(), known.end(), word) == known.end()) {
      std::string all;
      for (const std::string& state : known) all += (all.empty() ? "" : ", ") + state;
      throw UserError(ExitCode::kUsage, "--state '" + word + "': the states are " + all + "; several with commas");
    }
    wanted.insert(word);
  }
  if (wanted.empty()) throw UserError(ExitCode::kUsage, "--state names no state: such as --state failed,lost");
  return wanted;
}

// "412 runs: 3 failed, 2 lost, 17 running, 390 finished"
std::string summary(const StateCounts& counts) {
  int64_t all = 0;
  std::string text;
  for (const std::string& state : status_states()) {
    const auto found = counts.find(state);
    if (found == counts.end()) continue;
    all += found->second;
    text += (text.empty() ? "" : ", ") + std::to_string(found->second) + " " + state;
  }
  return std::to_string(all) + (all == 1 ? " run: " : " runs: ") + text;
}

std::vector<std::string> row_of(const RunStatus& status) {
  const train::MetricsTail& metrics = status.metrics;
  const auto rate = [](double value) { return value > 0 ? number_text(value) : std::string("-"); };
  return {status.run,
          status.state,
          std::to_string(status.stored.step),
          std::to_string(status.stored.steps),
          rate(metrics.steps_per_second),
          metrics.tokens_per_second > 0 ? format_count(metrics.tokens_per_second) : "-",
          status.seconds_left ? format_duration(*status.seconds_left) : "-",
          number_of(metrics.last_step, "loss"),
          evaluation_text(metrics.last_evaluation),
          status.stored.checkpoint.empty() ? "-" : status.stored.checkpoint,
          status.heartbeat_age >= 0 ? format_duration(status.heartbeat_age) + " ago" : "-"};
}

// `searched`: folders were searched for runs, which may be very many.
void print_table(const std::vector<RunStatus>& all, bool searched, bool may_shorten) {
  StateCounts counts;
  for (const RunStatus& status : all) ++counts[status.state];
  if (searched || all.size() > 1) std::cout << summary(counts) << "\n";
  bool any = false;
  for (const RunStatus& status : all) {
    if (status.reason.empty()) continue;
    std::cout << status.state << "  " << status.run << ": " << status.reason << "\n";
    any = true;
  }
  TextTable table(
      {"run", "state", "step", "of", "steps/s", "tokens/s", "left", "loss", "evaluation", "checkpoint", "heartbeat"});
  int64_t rows = 0, finished = 0, left_out = 0;
  for (const RunStatus& status : all) {
    if (status.state == "damaged") continue;
    if (status.state == "finished" && ++finished > kFinishedLines && may_shorten) {
      ++left_out;
      continue;
    }
    table.add(row_of(status));
    ++rows;
  }
  if (rows == 0) return;
  if (searched || any) std::cout << "\n";
  table.print(std::cout, "");
  if (left_out > 0) std::cout << "and " << left_out << " more that are finished: --state finished lists them\n";
}

int run_status(const CommandLine& line) {
  const std::set<std::string> wanted = wanted_states(line);
  const train::FoundRuns found = train::find_runs(line.objects);
  std::vector<RunStatus> all;
  for (const auto& [folder, reason] : found.unreadable) {
    RunStatus status;
    status.run = folder;
    status.state = "damaged";
    status.reason = reason;
    all.push_back(status);
  }
  Progress progress("read", std::ssize(found.runs), "runs");
  for (const std::string& run : found.runs) {
    all.push_back(status_of(run));
    progress.advance();
  }
  progress.finish();
  const bool is_one_named = all.size() == 1 && line.objects.size() == 1 && train::is_run_folder(line.objects[0]);
  if (is_one_named && all[0].error) std::rethrow_exception(all[0].error);
  std::erase_if(all, [&](const RunStatus& status) { return !wanted.contains(status.state); });
  if (line.has_flag("json")) {
    nlohmann::json list = nlohmann::json::array();
    for (const RunStatus& status : all) list.push_back(to_json(status));
    std::cout << list.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
    return 0;
  }
  const auto place = [](const RunStatus& status) {
    return std::find(status_states().begin(), status_states().end(), status.state);
  };
  std::stable_sort(all.begin(), all.end(), [&](const auto& a, const auto& b) { return place(a) < place(b); });
  const bool searched = found.runs.size() != line.objects.size() || !found.unreadable.empty();
  if (all.empty()) {
    std::cout << found.runs.size() << " runs, none of them " << line.flag("state") << "\n";
    return 0;
  }
  print_table(all, searched, searched && !line.has_flag("state"));
  return 0;
}

}  // namespace

Command status_command() {
  CommandSpec spec;
  spec.name = "status";
  spec.usage = "hyperx status RUN|FOLDER...";
  spec.summary = "shows the state of runs, those that need you first";
  spec.help =
      "A FOLDER is searched for runs, also in folders within it. The first line counts the runs of each state, then\n"
      "come the reasons of failed, lost and damaged runs, then one line per run.\n"
      "States: queued, running, saved (stopped by a signal, can continue), finished, failed, lost (recorded as\n"
      "running, but its process is gone), and damaged (its folder cannot be read). Exits with 0 whatever they are, but "
      "for\n"
      "a damaged run that is the only one named.\n\n"
      "Examples:\n"
      "  hyperx status runs\n"
      "  hyperx status runs --state failed,lost\n"
      "  hyperx status runs/quick --json";
  spec.flags = {{"json", "", "one JSON list instead of the table"},
                {"state", "STATE,...", "only the runs in these states"}};
  return {spec, run_status};
}

}  // namespace hyperx

#include "sweep/collect.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "common/config/make_option.h"
#include "common/errors.h"
#include "common/log.h"
#include "common/quoting.h"
#include "common/read_error.h"
#include "data/tasks/result_file.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/run/run_dir.h"

namespace hyperx::sweep {
namespace {

struct Score {
  double value = 0;
  int64_t sentences = 0;
};
// By "test pos:en accuracy": dev before test, then by pair.
using Scores = std::map<std::string, Score>;

std::string number(double value) { return std::isfinite(value) ? config::write_value(value) : ""; }

// The newest checkpoint with results of the split; none: there are none.
std::optional<int64_t> newest_scored(const std::string& run, const std::string& split) {
  std::optional<int64_t> newest;
  for (const std::string& name : names_in(run + "/results")) {
    const std::optional<int64_t> step = train::step_of_name(name);
    if (!step || kind_of(run + "/results/" + name + "/" + split) != PathKind::kFolder) continue;
    newest = std::max(*step, newest.value_or(*step));
  }
  return newest;
}

std::vector<std::string> splits_of(const Plan& plan) {
  std::vector<std::string> splits = {"dev", "test"};
  for (const Evaluation& each : plan.evaluations)
    if (std::find(splits.begin(), splits.end(), each.split) == splits.end()) splits.push_back(each.split);
  return splits;
}

void add_scores(const std::string& folder, Scores& scores) {
  for (const std::string& name : names_in(folder)) {
    if (!name.ends_with(".json")) continue;
    try {
      const data::EvaluationResult result = data::read_result(folder + "/" + name);
      scores[result.split + " " + result.pair.name() + " " + result.main_metric] = {result.main_value(),
                                                                                    result.sentences};
    } catch (const UserError& error) {
      log::warning("{}: left out", error.what());
    }
  }
}

Scores scores_of(const Plan& plan, int64_t row) {
  const train::RunDir run{plan.run_folder(row)};
  Scores scores;
  for (const std::string& split : splits_of(plan)) {
    std::optional<int64_t> step;
    for (const Evaluation& each : plan.evaluations)
      if (each.split == split) step = evaluated_step(plan, row, each);
    if (!step) step = newest_scored(run.path, split);
    if (step) add_scores(run.results(*step, split), scores);
  }
  return scores;
}

}  // namespace

ScoreTable collect_scores(const Plan& plan, const std::vector<RowStatus>& statuses) {
  ScoreTable table;
  std::vector<Scores> all;
  std::map<std::string, std::string> columns;  // name → name of its count
  for (int64_t row = 1; row <= plan.size(); ++row) {
    all.push_back(scores_of(plan, row));
    table.scored += all.back().empty() ? 0 : 1;
    for (const auto& [name, score] : all.back()) columns[name] = name.substr(0, name.rfind(' ')) + " n";
  }
  std::string text = "row,digest";
  for (const std::string& key : plan.varying) text += "," + csv_field(key);
  text += ",state,step,reason";
  for (const auto& [name, count] : columns) text += "," + csv_field(name) + "," + csv_field(count);
  text += "\n";
  for (int64_t row = 1; row <= plan.size(); ++row) {
    const auto at = static_cast<size_t>(row - 1);
    const RowStatus& status = statuses[at];
    text += std::to_string(row) + "," + plan.row(row).digest;
    for (const std::string& value : plan.row(row).values) text += "," + csv_field(value);
    text +=
        std::string(",") + word_of(status.state) + "," + std::to_string(status.step) + "," + csv_field(status.reason);
    for (const auto& [name, count] : columns) {
      const auto found = all[at].find(name);
      text += found == all[at].end()
                  ? ",,"
                  : "," + number(found->second.value) + "," + std::to_string(found->second.sentences);
    }
    text += "\n";
  }
  table.csv = std::move(text);
  return table;
}

}  // namespace hyperx::sweep

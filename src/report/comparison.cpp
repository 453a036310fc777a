#include "report/comparison.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>

#include "common/errors.h"
#include "common/progress.h"
#include "common/quoting.h"
#include "common/random.h"
#include "report/sentence_counts.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/run/run_dir.h"

namespace hyperx::report {
namespace {

constexpr char kMeanOfAll[] = "mean of all";
constexpr size_t kCommandsShown = 5;

// A key for the draws of a test file: by its name, so that it does not depend on what else is compared.
uint64_t key_of(const data::Pair& pair) { return derive_key(0, pair.name()); }

bool has_predictions(const RunScore& score) {
  std::error_code unreadable;
  return std::filesystem::exists(score.file->predictions_path(), unreadable);
}

// Fails with the commands that write what is missing.
void require_predictions(const Report& report) {
  std::map<size_t, std::vector<std::string>> missing;  // by run, the pairs
  for (const TaskTable& table : report.tables) {
    if (!is_resampled(table.task, table.metric)) continue;
    for (const Row* row : table.rows())
      for (const Cell& cell : row->cells)
        for (const RunScore& score : cell.runs)
          if (!has_predictions(score)) missing[score.run].push_back(row->pair.name());
  }
  if (missing.empty()) return;
  std::vector<std::string> commands;
  for (const auto& [index, pairs] : missing) {
    const Run& run = report.selection.runs[index];
    commands.push_back(
        fmt::format("  hyperx evaluate {} --eval.split {} --eval.pairs {} --eval.predictions yes",
                    shell_line({train::RunDir{run.path}.checkpoints() + "/" + train::checkpoint_name(run.step)}),
                    report.options.split, shell_line({fmt::format("{}", fmt::join(pairs, ","))})));
  }
  const size_t total = commands.size();
  commands.resize(std::min(total, kCommandsShown));
  throw UserError(
      ExitCode::kNoInput,
      fmt::format("tests need the predictions of every sentence, and {} runs lack them. Write them by\n{}{}", total,
                  fmt::join(commands, "\n"),
                  total > kCommandsShown ? fmt::format("\n  ... and {} more", total - kCommandsShown) : ""));
}

// The counts of all runs of all systems on one row: the runs of system s are [begins[s], begins[s + 1]).
struct RowCounts {
  RunCounts runs;
  std::vector<size_t> begins;
};

RowCounts read_row(const Row& row, const std::string& metric) {
  RowCounts counts;
  std::vector<uint64_t> gold;
  std::string gold_path;
  for (const Cell& cell : row.cells) {
    counts.begins.push_back(counts.runs.size());
    if (!cell.has_value()) continue;
    for (const RunScore& score : cell.runs) {
      SentenceCounts read = read_sentence_counts(*score.file, metric);
      if (gold.empty()) gold = read.gold, gold_path = score.file->predictions_path();
      const auto differs = std::mismatch(gold.begin(), gold.end(), read.gold.begin(), read.gold.end()).first;
      if (read.gold != gold)
        throw UserError(ExitCode::kBadData,
                        fmt::format("{} and {}: the gold tags differ, first in sentence {}: only results of the same "
                                    "test file can be compared",
                                    gold_path, score.file->predictions_path(), differs - gold.begin() + 1));
      counts.runs.push_back(std::move(read.sentences));
    }
  }
  counts.begins.push_back(counts.runs.size());
  return counts;
}

// Runs of two systems, of which the first has `first_runs`, out of those of all systems.
template <class Items>
Items two_of(const Items& all, const RowCounts& counts, size_t first, size_t second) {
  Items chosen(all.begin() + static_cast<int64_t>(counts.begins[first]),
               all.begin() + static_cast<int64_t>(counts.begins[first + 1]));
  chosen.insert(chosen.end(), all.begin() + static_cast<int64_t>(counts.begins[second]),
                all.begin() + static_cast<int64_t>(counts.begins[second + 1]));
  return chosen;
}

Resampled two_of(const Resampled& all, const RowCounts& counts, size_t first, size_t second, size_t trials) {
  Resampled chosen;
  chosen.runs = counts.begins[first + 1] - counts.begins[first] + counts.begins[second + 1] - counts.begins[second];
  chosen.sums.reserve(trials * chosen.runs);
  for (size_t trial = 0; trial < trials; ++trial)
    for (const size_t system : {first, second})
      chosen.sums.insert(chosen.sums.end(), all.trial(trial) + counts.begins[system],
                         all.trial(trial) + counts.begins[system + 1]);
  return chosen;
}

// The differences of a mean over rows, trial by trial: the test files are resampled independently of each other.
struct Sum {
  std::vector<double> swapped, bootstrap;
  Test test;
  size_t rows = 0;

  void add(const Test& of_row, const std::vector<double>& row_swapped, const std::vector<double>& row_bootstrap) {
    swapped.resize(row_swapped.size());
    bootstrap.resize(row_bootstrap.size());
    std::transform(swapped.begin(), swapped.end(), row_swapped.begin(), swapped.begin(), std::plus<>());
    std::transform(bootstrap.begin(), bootstrap.end(), row_bootstrap.begin(), bootstrap.begin(), std::plus<>());
    test.metric = rows == 0 || test.metric == of_row.metric ? of_row.metric : "";
    test.sentences += of_row.sentences;
    test.first_runs = std::max(test.first_runs, of_row.first_runs);
    test.second_runs = std::max(test.second_runs, of_row.second_runs);
    test.first_score += of_row.first_score;
    test.second_score += of_row.second_score;
    ++rows;
  }

  Test finish() {
    const auto count = static_cast<double>(rows);
    for (double& difference : swapped) difference /= count;
    for (double& difference : bootstrap) difference /= count;
    test.pairs = rows;
    test.first_score /= count;
    test.second_score /= count;
    test.difference = test.first_score - test.second_score;
    test.interval = percentile_bounds(std::move(bootstrap));
    test.p = permutation_p(swapped, test.difference);
    return test;
  }
};

void correct(std::vector<Test>& tests) {
  std::vector<double> p_values;
  for (const Test& test : tests) p_values.push_back(test.p);
  const std::vector<double> corrected = holm_corrected(p_values);
  for (size_t i = 0; i < tests.size(); ++i) tests[i].p_holm = corrected[i];
}

using SumKey = std::tuple<size_t, size_t, std::string>;  // systems, name

void compare_row(const Row& row, const std::string& metric, const Resampling& options, std::vector<Test>& tests,
                 std::map<SumKey, Sum>& sums) {
  const RowCounts counts = read_row(row, metric);
  if (counts.runs.empty()) return;
  const Resampled swaps = swapped_sums(counts.runs, options, key_of(row.pair));
  const Resampled draws = bootstrap_sums(counts.runs, options, key_of(row.pair));
  for (size_t first = 0; first < row.cells.size(); ++first)
    for (size_t second = first + 1; second < row.cells.size(); ++second) {
      if (!row.cells[first].has_value() || !row.cells[second].has_value()) continue;
      const RunCounts both = two_of(counts.runs, counts, first, second);
      Test test;
      test.first = first;
      test.second = second;
      test.name = row.pair.name();
      test.metric = metric;
      test.language = row.language;
      test.sentences = both[0].size();
      test.first_runs = counts.begins[first + 1] - counts.begins[first];
      test.second_runs = both.size() - test.first_runs;
      test.first_score = mean_score(both, 0, test.first_runs);
      test.second_score = mean_score(both, test.first_runs, both.size());
      test.difference = test.first_score - test.second_score;
      const std::vector<double> swapped =
          swapped_differences(two_of(swaps, counts, first, second, options.trials), both, test.first_runs);
      const std::vector<double> bootstrap =
          bootstrap_differences(two_of(draws, counts, first, second, options.trials), test.first_runs, options);
      test.p = permutation_p(swapped, test.difference);
      test.interval = percentile_bounds(bootstrap);
      for (const std::string& name : {"mean of " + row.pair.task, std::string(kMeanOfAll)}) {
        Sum& sum = sums[{first, second, name}];
        sum.test.first = first;
        sum.test.second = second;
        sum.test.name = name;
        sum.add(test, swapped, bootstrap);
      }
      tests.push_back(std::move(test));
    }
}

void require_comparable(const Report& report) {
  if (report.systems().size() < 2)
    throw UserError(ExitCode::kUsage, fmt::format("two systems are needed, and the runs are seeds of one, '{}'; name "
                                                  "the systems apart: A=RUN,RUN B=RUN,RUN",
                                                  report.systems().empty() ? "" : report.systems()[0].label));
  std::vector<std::string> metrics;
  for (const TaskTable& table : report.tables) {
    if (is_resampled(table.task, table.metric)) return;
    metrics.push_back(table.task + " " + table.metric);
  }
  throw UserError(
      ExitCode::kUsage,
      fmt::format("{}: cannot be resampled sentence by sentence; --metric names another one, such as accuracy",
                  fmt::join(metrics, ", ")));
}

}  // namespace

Comparison compare_systems(const Report& report, const Resampling& options) {
  require_comparable(report);
  require_predictions(report);
  Comparison comparison;
  comparison.options = options;
  std::map<SumKey, Sum> sums;
  int64_t rows = 0;
  for (const TaskTable& table : report.tables) rows += std::ssize(table.rows());
  Progress progress("resample", rows, "test files");
  for (const TaskTable& table : report.tables)
    for (const Row* row : table.rows()) {
      if (is_resampled(table.task, table.metric) && row->uneven.empty())
        compare_row(*row, table.metric, options, comparison.tests, sums);
      progress.advance();
    }
  progress.finish();
  if (comparison.tests.empty())
    throw UserError(ExitCode::kBadData,
                    "no pair of task and language has comparable results of two systems: `hyperx "
                    "report` with the same arguments says why");
  std::map<std::pair<size_t, size_t>, size_t> tasks;
  for (const auto& [key, sum] : sums) ++tasks[{std::get<0>(key), std::get<1>(key)}];
  for (auto& [key, sum] : sums) {
    const bool is_same_as_task = std::get<2>(key) == kMeanOfAll && tasks[{sum.test.first, sum.test.second}] == 2;
    if (!is_same_as_task) comparison.means.push_back(sum.finish());
  }
  std::stable_sort(comparison.tests.begin(), comparison.tests.end(), [](const Test& a, const Test& b) {
    return std::tie(a.first, a.second) < std::tie(b.first, b.second);
  });
  std::stable_sort(comparison.means.begin(), comparison.means.end(), [](const Test& a, const Test& b) {
    return std::tuple(a.first, a.second, a.name == kMeanOfAll) < std::tuple(b.first, b.second, b.name == kMeanOfAll);
  });
  correct(comparison.tests);
  correct(comparison.means);
  return comparison;
}

void add_intervals(Report& report, const Resampling& options) {
  size_t done = 0;
  int64_t rows = 0;
  for (const TaskTable& table : report.tables) rows += std::ssize(table.rows());
  Progress progress("resample", rows, "test files");
  for (TaskTable& table : report.tables) {
    const bool is_possible = is_resampled(table.task, table.metric);
    for (Family& family : table.families)
      for (Row& row : family.rows) {
        progress.advance();
        for (Cell& cell : row.cells) {
          if (!is_possible || !cell.has_value() || !std::all_of(cell.runs.begin(), cell.runs.end(), has_predictions))
            continue;
          try {
            RunCounts counts;
            for (const RunScore& score : cell.runs)
              counts.push_back(read_sentence_counts(*score.file, table.metric).sentences);
            const Bounds bounds =
                percentile_bounds(bootstrap_scores(bootstrap_sums(counts, options, key_of(row.pair)), options));
            cell.interval = Interval{bounds.low, bounds.high};
            ++done;
          } catch (const UserError& error) {
            report.selection.problems.push_back({cell.runs[0].file->predictions_path(), error.what()});
          }
        }
      }
  }
  progress.finish();
  if (done > 0)
    report.intervals = fmt::format("95 % interval, bootstrap over seeds and sentences, {} trials, seed {}",
                                   options.trials, options.seed);
}

}  // namespace hyperx::report

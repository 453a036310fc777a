#include "report/score_table.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>

#include "common/errors.h"
#include "data/tasks/task_set.h"
#include "report/signature.h"

namespace hyperx::report {
namespace {

constexpr double kPercent = 100;

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? kNothing : sum / static_cast<double>(values.size());
}

double deviation_of(const std::vector<double>& values) {
  if (values.size() < 2) return kNothing;
  const double mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

std::string seed_name(const Run& run) { return run.has_config ? std::to_string(run.seed) : run.path; }

// The result files of one task, by pair and system.
struct TaskFiles {
  std::string metric;
  std::map<data::Pair, std::vector<std::vector<RunScore>>> by_pair;  // [systems][runs]
};

std::map<std::string, TaskFiles> files_by_task(const Selection& selection, const std::string& metric) {
  std::map<std::string, TaskFiles> tasks;
  for (size_t system = 0; system < selection.systems.size(); ++system)
    for (const size_t run : selection.systems[system].runs)
      for (const ResultFile& file : selection.runs[run].results) {
        TaskFiles& task = tasks[file.result.pair.task];
        const auto& values = file.result.metrics.values;
        if (!metric.empty() && !values.contains(metric)) continue;
        if (task.metric.empty()) task.metric = metric.empty() ? file.result.main_metric : metric;
        auto& systems = task.by_pair[file.result.pair];
        systems.resize(selection.systems.size());
        const auto found = values.find(task.metric);
        systems[system].push_back({run, &file, found == values.end() ? kNothing : found->second});
      }
  std::erase_if(tasks, [](const auto& entry) { return entry.second.by_pair.empty(); });
  return tasks;
}

// A pair that some runs of a system were not trained on is scored by those only: they are the partitions in which it
// was held out.
void keep_held_out(std::vector<RunScore>& scores) {
  const auto is_trained = [](const RunScore& score) { return score.file->result.trained; };
  if (!std::all_of(scores.begin(), scores.end(), is_trained)) std::erase_if(scores, is_trained);
}

Cell make_cell(const Selection& selection, std::vector<RunScore> scores, const std::string& metric) {
  Cell cell;
  if (scores.empty()) {
    cell.why_missing = "no result";
    return cell;
  }
  keep_held_out(scores);
  cell.runs = std::move(scores);
  cell.trained = cell.runs[0].file->result.trained;
  std::map<std::string, std::vector<double>> by_seed;
  std::vector<double> baselines;
  for (const RunScore& score : cell.runs) {
    if (std::isnan(score.value)) {
      cell.why_missing = score.file->path + ": has no finite " + metric;
      return cell;
    }
    by_seed[seed_name(selection.runs[score.run])].push_back(score.value);
    if (score.file->result.baseline && score.file->result.main_metric == metric)
      baselines.push_back(*score.file->result.baseline);
  }
  std::vector<double> means;
  for (const auto& [seed, values] : by_seed) means.push_back(cell.by_seed[seed] = mean_of(values));
  cell.mean = mean_of(means);
  cell.deviation = deviation_of(means);
  if (!baselines.empty()) cell.baseline = mean_of(baselines);
  return cell;
}

// Compares what the result files of a row say about test file and scorer. A system whose own files disagree has no
// value.
void check_evenness(Row& row) {
  const ResultFile* first = nullptr;
  for (Cell& cell : row.cells) {
    for (const RunScore& score : cell.runs) {
      if (first == nullptr) first = score.file;
      const std::string own = hard_difference(cell.runs[0].file->result, score.file->result);
      if (!own.empty()) {
        cell.mean = cell.deviation = kNothing;
        cell.why_missing = "its runs were not scored alike";
        row.uneven = fmt::format("{}: {} ({}, {})", row.pair.name(), own, cell.runs[0].file->path, score.file->path);
      }
      const std::string other = hard_difference(first->result, score.file->result);
      if (!other.empty() && row.uneven.empty())
        row.uneven = fmt::format("{}: {} ({}, {})", row.pair.name(), other, first->path, score.file->path);
    }
  }
}

std::optional<double> common_baseline(const Row& row) {
  std::optional<double> baseline;
  for (const Cell& cell : row.cells) {
    if (!cell.baseline) continue;
    if (baseline && std::abs(*baseline - *cell.baseline) > 1e-9) return std::nullopt;
    baseline = cell.baseline;
  }
  return baseline;
}

std::optional<bool> common_reading(const Selection& selection, const Row& row) {
  std::optional<bool> read;
  for (const Cell& cell : row.cells)
    for (const RunScore& score : cell.runs) {
      const auto& languages = selection.runs[score.run].read_by_encoder;
      if (!languages) return std::nullopt;
      const bool here = languages->contains(row.pair.base_language());
      if (read && *read != here) return std::nullopt;
      read = here;
    }
  return read;
}

Row make_row(const Selection& selection, const data::Pair& pair, std::vector<std::vector<RunScore>> systems,
             const std::string& metric) {
  Row row;
  row.pair = pair;
  row.language = find_language(pair.language);
  for (auto& scores : systems) row.cells.push_back(make_cell(selection, std::move(scores), metric));
  check_evenness(row);
  size_t trained = 0, with_value = 0;
  std::vector<double> values;
  for (const Cell& cell : row.cells) {
    if (cell.has_value()) ++with_value, trained += cell.trained;
    values.push_back(cell.mean);
    if (row.sentences > 0 || cell.runs.empty()) continue;
    row.sentences = cell.runs[0].file->result.sentences;
    row.words = cell.runs[0].file->result.words;
    row.source = parse_signature(cell.runs[0].file->result.signature).source;
  }
  row.trained = trained == 0 ? Trained::kByNone : trained == with_value ? Trained::kByAll : Trained::kBySome;
  row.baseline = common_baseline(row);
  row.read_by_encoder = common_reading(selection, row);
  row.places = row.is_complete() ? places_of(values, metric) : std::vector<Place>(values.size(), Place::kNone);
  return row;
}

// Over the seeds that all rows share: the deviation of the mean of the rows.
double deviation_of_mean(const std::vector<const Row*>& rows, size_t system) {
  std::map<std::string, std::vector<double>> by_seed;
  for (const Row* row : rows)
    for (const auto& [seed, value] : row->cells[system].by_seed) by_seed[seed].push_back(value);
  std::vector<double> means;
  for (const auto& [seed, values] : by_seed) {
    if (values.size() != rows.size()) return kNothing;
    means.push_back(mean_of(values));
  }
  return deviation_of(means);
}

template <class Belongs>
MeanRow make_mean(const std::string& name, const std::vector<const Row*>& all, const std::string& metric,
                  Belongs belongs) {
  std::vector<const Row*> rows;
  for (const Row* row : all)
    if (row->is_complete() && belongs(*row)) rows.push_back(row);
  MeanRow mean;
  mean.name = name;
  mean.rows = rows.size();
  if (rows.empty()) return mean;
  for (size_t system = 0; system < rows[0]->cells.size(); ++system) {
    std::vector<double> values;
    for (const Row* row : rows) values.push_back(row->cells[system].mean);
    mean.values.push_back(mean_of(values));
    mean.deviations.push_back(deviation_of_mean(rows, system));
  }
  mean.places = places_of(mean.values, metric);
  std::vector<double> baselines;
  for (const Row* row : rows)
    if (row->baseline) baselines.push_back(*row->baseline);
  if (baselines.size() == rows.size()) mean.baseline = mean_of(baselines);
  return mean;
}

void add_means(TaskTable& table) {
  const std::vector<const Row*> rows = table.rows();
  const auto add = [&](const std::string& name, auto belongs) {
    MeanRow mean = make_mean(name, rows, table.metric, belongs);
    if (mean.rows > 0) table.means.push_back(std::move(mean));
  };
  add("mean, trained", [](const Row& row) { return row.trained == Trained::kByAll; });
  add("mean, trained by some systems", [](const Row& row) { return row.trained == Trained::kBySome; });
  add("mean, never trained", [](const Row& row) { return row.trained == Trained::kByNone; });
  add("mean, read by the encoder", [](const Row& row) { return row.read_by_encoder == true; });
  add("mean, not read by the encoder", [](const Row& row) { return row.read_by_encoder == false; });
  add("mean, all", [](const Row&) { return true; });
}

void add_notes(const Selection& selection, TaskTable& table) {
  std::vector<std::string> left_out;
  std::map<std::string, std::vector<std::string>> missing;  // by system, the pairs
  std::set<std::string> soft;
  const ResultFile* first = nullptr;
  for (const Row* row : table.rows()) {
    if (!row->uneven.empty()) table.notes.push_back("not scored alike, so not ranked and in no mean: " + row->uneven);
    first = nullptr;
    for (size_t system = 0; system < row->cells.size(); ++system) {
      const Cell& cell = row->cells[system];
      if (!cell.has_value() && row->uneven.empty())
        missing[selection.systems[system].label + ": " + cell.why_missing].push_back(row->pair.name());
      for (const RunScore& score : cell.runs) {
        if (first == nullptr) first = score.file;
        for (const std::string& what : soft_differences(first->result, score.file->result)) soft.insert(what);
      }
    }
  }
  for (const auto& [what, pairs] : missing)
    table.notes.push_back(
        fmt::format("{} for {}: not ranked there, and these pairs are in no mean", what, fmt::join(pairs, " ")));
  for (const std::string& what : soft) table.notes.push_back(table.task + ": " + what);
}

}  // namespace

bool Row::is_complete() const {
  return uneven.empty() && std::all_of(cells.begin(), cells.end(), [](const Cell& cell) { return cell.has_value(); });
}

std::vector<Place> places_of(const std::vector<double>& values, const std::string& metric) {
  std::vector<Place> places(values.size(), Place::kNone);
  if (values.size() < 2) return places;
  const double scale = data::is_share(metric) ? 10 * kPercent : -1000;  // as many digits as value_text shows
  std::set<int64_t, std::greater<>> distinct;
  for (const double value : values) distinct.insert(std::llround(scale * value));
  if (distinct.size() < 2) return places;
  for (size_t i = 0; i < values.size(); ++i) {
    const int64_t shown = std::llround(scale * values[i]);
    if (shown == *distinct.begin()) places[i] = Place::kBest;
    if (shown == *std::next(distinct.begin()) && values.size() > 2) places[i] = Place::kSecond;
  }
  return places;
}

std::vector<const Row*> TaskTable::rows() const {
  std::vector<const Row*> all;
  for (const Family& family : families)
    for (const Row& row : family.rows) all.push_back(&row);
  return all;
}

bool TaskTable::has_baseline() const {
  const auto all = rows();
  return std::any_of(all.begin(), all.end(), [](const Row* row) { return row->baseline.has_value(); });
}

bool Report::is_uneven() const {
  return std::any_of(tables.begin(), tables.end(), [](const TaskTable& table) { return !table.notes.empty(); });
}

std::vector<std::string> Report::notes() const {
  std::vector<std::string> all = selection.notes;
  for (const TaskTable& table : tables) all.insert(all.end(), table.notes.begin(), table.notes.end());
  return all;
}

Report make_report(Selection selection, const ReadOptions& options, const std::string& metric) {
  Report report;
  report.selection = std::move(selection);
  report.options = options;
  auto tasks = files_by_task(report.selection, metric);
  if (tasks.empty()) throw UserError(ExitCode::kUsage, "--metric " + metric + ": no result has this metric");
  for (auto& [name, files] : tasks) {
    TaskTable table;
    table.task = name;
    table.metric = files.metric;
    std::vector<Row> rows;
    for (auto& [pair, systems] : files.by_pair) {
      for (const auto& scores : systems) report.files += scores.size();
      rows.push_back(make_row(report.selection, pair, std::move(systems), table.metric));
    }
    std::stable_sort(rows.begin(), rows.end(),
                     [](const Row& a, const Row& b) { return comes_before(a.language, b.language); });
    for (Row& row : rows) {
      if (table.families.empty() || table.families.back().name != row.language.family)
        table.families.push_back({row.language.family, {}, {}});
      table.families.back().rows.push_back(std::move(row));
    }
    const auto all = table.rows();
    for (Family& family : table.families) {
      MeanRow mean = make_mean("mean, " + family.name, all, table.metric,
                               [&](const Row& row) { return row.language.family == family.name; });
      if (family.rows.size() > 1 && mean.rows > 0) family.mean = std::move(mean);
    }
    add_means(table);
    add_notes(report.selection, table);
    report.tables.push_back(std::move(table));
  }
  return report;
}

std::string value_text(double value, const std::string& metric) {
  if (std::isnan(value)) return "-";
  return data::is_share(metric) ? fmt::format("{:.1f}", kPercent * value) : fmt::format("{:.3f}", value);
}

std::string deviation_text(double deviation, const std::string& metric) { return value_text(deviation, metric); }

std::string metric_title(const std::string& metric) {
  std::string title = metric;
  if (title.ends_with("f1")) title[title.size() - 2] = 'F';
  if (title.size() == 3 && title.ends_with("as"))
    std::transform(title.begin(), title.end(), title.begin(), [](unsigned char c) { return std::toupper(c); });
  return data::is_share(metric) ? title + " [%]" : title;
}

std::string split_title(const TaskTable& table, const std::string& split) {
  return table.task + ", " + split + ": " + metric_title(table.metric);
}

}  // namespace hyperx::report

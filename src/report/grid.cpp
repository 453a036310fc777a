#include "report/grid.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace hyperx::report {
namespace {

std::string system_title(const Report& report, const System& system) {
  std::set<std::string> seeds;
  for (const size_t run : system.runs)
    seeds.insert(report.selection.runs[run].has_config ? std::to_string(report.selection.runs[run].seed)
                                                       : report.selection.runs[run].path);
  return system.label + (seeds.size() > 1 ? fmt::format(" ({} seeds)", seeds.size()) : "");
}

GridCell cell_of(const Cell& cell, Place place, const std::string& metric) {
  GridCell shown;
  shown.value = value_text(cell.mean, metric);
  shown.place = place;
  shown.cell = &cell;
  if (!cell.has_value()) return shown;
  shown.trained = cell.trained;
  if (!std::isnan(cell.deviation)) shown.deviation = deviation_text(cell.deviation, metric);
  if (cell.interval) {
    shown.low = value_text(cell.interval->low, metric);
    shown.high = value_text(cell.interval->high, metric);
  }
  return shown;
}

GridRow mean_row(const MeanRow& mean, const std::string& metric) {
  GridRow row;
  row.kind = GridRow::Kind::kMean;
  row.name = fmt::format("{} (n = {})", mean.name, mean.rows);
  if (mean.baseline) row.baseline = value_text(*mean.baseline, metric);
  for (size_t system = 0; system < mean.values.size(); ++system) {
    GridCell cell;
    cell.value = value_text(mean.values[system], metric);
    cell.place = mean.places[system];
    if (!std::isnan(mean.deviations[system])) cell.deviation = deviation_text(mean.deviations[system], metric);
    row.cells.push_back(cell);
  }
  return row;
}

GridRow language_row(const Row& row, const std::string& metric) {
  GridRow shown;
  shown.name = row.language.shown();
  shown.not_read = row.read_by_encoder == false;
  shown.is_uneven = !row.uneven.empty();
  shown.sentences = std::to_string(row.sentences);
  if (row.baseline) shown.baseline = value_text(*row.baseline, metric);
  shown.row = &row;
  for (size_t system = 0; system < row.cells.size(); ++system)
    shown.cells.push_back(cell_of(row.cells[system], row.places[system], metric));
  return shown;
}

}  // namespace

Grid make_grid(const Report& report, const TaskTable& table) {
  Grid grid;
  grid.title = split_title(table, report.options.split);
  for (const System& system : report.systems()) grid.systems.push_back(system_title(report, system));
  grid.has_baseline = table.has_baseline();
  for (const Family& family : table.families) {
    GridRow heading;
    heading.kind = GridRow::Kind::kFamily;
    heading.name = family.name;
    grid.rows.push_back(heading);
    for (const Row& row : family.rows) grid.rows.push_back(language_row(row, table.metric));
    if (family.mean) grid.rows.push_back(mean_row(*family.mean, table.metric));
  }
  for (const MeanRow& mean : table.means) {
    grid.rows.push_back(mean_row(mean, table.metric));
    grid.rows.back().is_of_all = true;
  }
  for (const GridRow& row : grid.rows) {
    grid.has_not_read |= row.not_read;
    grid.has_uneven |= row.is_uneven;
    for (const GridCell& cell : row.cells) {
      grid.has_trained |= cell.trained;
      grid.has_deviation |= !cell.deviation.empty();
      grid.has_interval |= !cell.low.empty();
      grid.has_places |= cell.place != Place::kNone;
    }
  }
  return grid;
}

std::vector<std::string> legend_of(const Grid& grid, const Report& report, const Marks& marks) {
  std::vector<std::string> legend = {"n: sentences; of a mean, languages"};
  if (grid.has_baseline) legend.emplace_back("majority: always the most frequent tag of the training data");
  if (grid.has_trained) legend.push_back(marks.trained + " trained on this task and language");
  if (grid.has_not_read) legend.push_back(marks.not_read + " a language that the encoder has not read");
  if (grid.has_uneven) legend.push_back(marks.uneven + " not scored alike: not ranked, in no mean");
  if (grid.has_deviation) legend.emplace_back("± sample standard deviation over seeds");
  if (grid.has_interval) legend.push_back("[low, high] " + marks.running_text(report.intervals));
  if (grid.has_places)
    legend.push_back(marks.best + " best" + (grid.systems.size() > 2 ? ", " + marks.second + " second" : ""));
  return legend;
}

}  // namespace hyperx::report

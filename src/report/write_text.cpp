#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <sstream>

#include "common/text_table.h"
#include "report/escape.h"
#include "report/grid.h"
#include "report/writers.h"

namespace hyperx::report {
namespace {

const Marks kMarks{"*", "°", "†", "¹", "²", plain_text};

// Parts of fixed width, so that the values of a column stand below each other.
std::string cell_text(const GridCell& cell, const Grid& grid, size_t width) {
  std::string text = fmt::format("{:>{}}", cell.value, width);
  if (grid.has_places)
    text += cell.place == Place::kBest ? kMarks.best : cell.place == Place::kSecond ? kMarks.second : " ";
  if (grid.has_trained) text += cell.trained ? kMarks.trained : " ";
  if (grid.has_deviation) text += cell.deviation.empty() ? "       " : fmt::format(" ± {:<4}", cell.deviation);
  if (!cell.low.empty()) text += fmt::format(" [{}, {}]", cell.low, cell.high);
  return text;
}

std::string grid_text(const Grid& grid, const std::string& metric) {
  std::vector<std::string> head = {"language", "n"};
  if (grid.has_baseline) head.emplace_back("majority");
  for (const std::string& system : grid.systems) head.push_back(plain_text(system));
  TextTable table(head);
  const size_t width = value_text(1, metric).size();
  for (const GridRow& row : grid.rows) {
    const bool is_language = row.kind == GridRow::Kind::kLanguage;
    std::vector<std::string> cells = {(is_language ? "  " : "") + plain_text(row.name) + kMarks.after_name(row),
                                      row.sentences};
    if (grid.has_baseline) cells.push_back(row.baseline);
    for (const GridCell& cell : row.cells) cells.push_back(cell_text(cell, grid, width));
    cells.resize(head.size());
    table.add(std::move(cells));
  }
  std::ostringstream out;
  table.print(out, "");
  return out.str();
}

}  // namespace

std::vector<std::string> remarks(const Report& report) {
  std::vector<std::string> lines = report.notes();
  for (const Problem& problem : report.selection.problems) lines.push_back("not used: " + text_of(problem));
  return lines;
}

std::string text_report(const Report& report) {
  std::string text;
  for (const TaskTable& table : report.tables) {
    const Grid grid = make_grid(report, table);
    text += grid.title + "\n" + grid_text(grid, table.metric);
    text += fmt::format("{}\n\n", fmt::join(legend_of(grid, report, kMarks), "; "));
  }
  const std::vector<std::string> lines = remarks(report);
  if (!lines.empty()) text += "Remarks\n";
  for (const std::string& line : lines) text += "- " + plain_text(line) + "\n";
  if (!lines.empty()) text += "\n";
  return text + fmt::format("Result files: {}, of runs: {}; files that could not be used: {}. {}.\n", report.files,
                            report.selection.runs.size(), report.selection.problems.size(), kLanguagesCredit);
}

}  // namespace hyperx::report

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include "report/escape.h"
#include "report/grid.h"
#include "report/writers.h"

namespace hyperx::report {
namespace {

const Marks kMarks{"\\*", "°", "†", "**bold**", "<u>underlined</u>", markdown_text};

std::string cell_text(const GridCell& cell) {
  std::string value = cell.value;
  if (cell.place == Place::kBest) value = "**" + value + "**";
  if (cell.place == Place::kSecond) value = "<u>" + value + "</u>";
  if (cell.trained) value += kMarks.trained;
  if (!cell.deviation.empty()) value += " ± " + cell.deviation;
  if (!cell.low.empty()) value += fmt::format(" \\[{}, {}\\]", cell.low, cell.high);
  return value;
}

std::string row_text(const std::vector<std::string>& cells) { return fmt::format("| {} |\n", fmt::join(cells, " | ")); }

std::string grid_text(const Grid& grid) {
  std::vector<std::string> head = {"language", "n"}, rule = {"---", "--:"};
  if (grid.has_baseline) head.emplace_back("majority");
  for (const std::string& system : grid.systems) head.push_back(markdown_text(system));
  rule.resize(head.size(), "--:");
  std::string text = row_text(head) + row_text(rule);
  for (const GridRow& row : grid.rows) {
    std::string name = markdown_text(row.name) + kMarks.after_name(row);
    if (row.kind != GridRow::Kind::kLanguage) name = "*" + name + "*";
    std::vector<std::string> cells = {name, row.sentences};
    if (grid.has_baseline) cells.push_back(row.baseline);
    for (const GridCell& cell : row.cells) cells.push_back(cell_text(cell));
    cells.resize(head.size());
    text += row_text(cells);
  }
  return text;
}

}  // namespace

std::string markdown_report(const Report& report) {
  std::string text;
  for (const TaskTable& table : report.tables) {
    const Grid grid = make_grid(report, table);
    text += "**" + markdown_text(grid.title) + "**\n\n" + grid_text(grid);
    text += fmt::format("\n{}.\n\n", fmt::join(legend_of(grid, report, kMarks), "; "));
  }
  for (const std::string& line : remarks(report)) text += "- " + markdown_text(line) + "\n";
  return text + fmt::format("\n{}.\n", kLanguagesCredit);
}

}  // namespace hyperx::report

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include "common/version.h"
#include "report/escape.h"
#include "report/grid.h"
#include "report/writers.h"

namespace hyperx::report {
namespace {

const Marks kMarks{"$^{*}$", "$^{\\circ}$", "$^{\\dagger}$", "\\textbf{bold}:", "\\underline{underlined}:", latex_text};

std::string cell_text(const GridCell& cell) {
  std::string value = cell.value == "-" ? "--" : cell.value;
  if (cell.place == Place::kBest) value = "\\textbf{" + value + "}";
  if (cell.place == Place::kSecond) value = "\\underline{" + value + "}";
  if (cell.trained) value += kMarks.trained;
  if (!cell.deviation.empty()) value += "\\,{\\scriptsize$\\pm$" + cell.deviation + "}";
  if (!cell.low.empty()) value += fmt::format("\\,{{\\scriptsize[{}, {}]}}", cell.low, cell.high);
  return value;
}

std::string row_text(const std::vector<std::string>& cells) {
  return fmt::format("    {} \\\\\n", fmt::join(cells, " & "));
}

std::string rows_text(const Grid& grid, size_t columns) {
  std::string text;
  bool in_means = false;
  for (const GridRow& row : grid.rows) {
    const bool is_mean = row.kind == GridRow::Kind::kMean;
    if (row.kind == GridRow::Kind::kFamily) {
      text += "    \\midrule\n" +
              fmt::format("    \\multicolumn{{{}}}{{l}}{{\\textit{{{}}}}} \\\\\n", columns, latex_text(row.name));
      continue;
    }
    if (row.is_of_all && !in_means) text += "    \\midrule\n";
    in_means |= row.is_of_all;
    std::string name = (is_mean ? "" : "\\quad ") + latex_text(row.name) + kMarks.after_name(row);
    std::vector<std::string> cells = {name, row.sentences};
    if (grid.has_baseline) cells.push_back(row.baseline);
    for (const GridCell& cell : row.cells) cells.push_back(cell_text(cell));
    cells.resize(columns);
    text += row_text(cells);
  }
  return text;
}

}  // namespace

std::string latex_report(const Report& report) {
  std::string text = fmt::format(
      "% Made by hyperx report {}; \\usepackage{{booktabs}} and, with pdflatex, \\usepackage[T1]{{fontenc}}.\n",
      version());
  for (const std::string& line : remarks(report)) text += "% " + plain_text(line) + "\n";
  for (const TaskTable& table : report.tables) {
    const Grid grid = make_grid(report, table);
    std::vector<std::string> head = {"language", "$n$"};
    if (grid.has_baseline) head.emplace_back("majority");
    for (const std::string& system : grid.systems) head.push_back(latex_text(system));
    std::vector<std::string> legend = legend_of(grid, report, kMarks);
    text += "\n\\begin{table}\n  \\centering\n  \\caption{" + latex_text(grid.title) + ". " +
            fmt::format("{}", fmt::join(legend, "; ")) + ".}\n  \\label{tab:" + latex_text(table.task) + "}\n" +
            "  \\begin{tabular}{l" + std::string(head.size() - 1, 'r') + "}\n    \\toprule\n" + row_text(head) +
            rows_text(grid, head.size()) + "    \\bottomrule\n  \\end{tabular}\n\\end{table}\n";
  }
  return text + fmt::format("% {}.\n", kLanguagesCredit);
}

}  // namespace hyperx::report

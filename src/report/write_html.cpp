#include "report/write_html.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <filesystem>

#include "common/version.h"
#include "report/escape.h"
#include "report/grid.h"
#include "report/writers.h"
#include "trainer/run/run_dir.h"

namespace hyperx::report {
namespace {

namespace fs = std::filesystem;

const Marks kMarks{"*", "°", "†", "<strong>bold</strong>", "<u>underlined</u>", html_text};

constexpr char kStyle[] = R"css(
body { font: 15px/1.5 "DejaVu Sans", Verdana, sans-serif; color: #111; background: #fff; max-width: 76em; margin: 1em auto; padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.25em; margin-top: 2em; border-bottom: 1px solid #888; } h3 { font-size: 1.05em; }
a { color: #00438a; } td a { text-decoration: underline dotted 1px; text-underline-offset: 3px; } u { text-decoration: none; border-bottom: 2px solid #111; } .wide { overflow-x: auto; } .wide:focus { outline: 2px solid #00438a; }
table { border-collapse: collapse; margin: .7em 0; font-variant-numeric: tabular-nums; }
th, td { padding: .15em .7em; text-align: right; vertical-align: baseline; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid #111; border-top: 2px solid #111; }
tbody th { font-weight: normal; } .family th { font-style: italic; padding-top: .6em; text-align: left; }
.mean { background: #eee; } small { font-size: .82em; } figure { margin: 1em 0; } svg { max-width: none; height: auto; }
.legend, footer { font-size: .88em; color: #333; } summary { cursor: pointer; }
@media print { details { display: none; } }
)css";

class Page {
 public:
  Page(const Report& report, const std::string& folder) : report_(report), folder_(folder) {}

  std::string write(const std::vector<Figure>& figures) {
    const std::string title = "Scores of " + std::to_string(report_.systems().size()) +
                              (report_.systems().size() == 1 ? " system" : " systems") + " on " + report_.options.split;
    text_ +=
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
        "content=\"width=device-width, initial-scale=1\">\n<link rel=\"icon\" href=\"data:,\">\n<title>" +
        html_text(title) + "</title>\n<style>" + kStyle + "</style>\n</head>\n<body>\n<header><h1>" + html_text(title) +
        "</h1></header>\n<main>\n";
    write_remarks();
    for (const TaskTable& table : report_.tables) write_scores(table, figures);
    write_curves(figures);
    write_runs();
    text_ += "</main>\n<footer><p>" +
             html_text(fmt::format(
                 "hyperx report {}. Result files: {}, of runs: {}; files that could not be used: {}.{} {}.", version(),
                 report_.files, report_.selection.runs.size(), report_.selection.problems.size(),
                 report_.intervals.empty() ? "" : " Intervals: " + report_.intervals + ".", kLanguagesCredit)) +
             "</p></footer>\n</body>\n</html>\n";
    return text_;
  }

 private:
  // <a> to a file, or only the text where there is no such file.
  std::string link(const std::string& path, const std::string& shown) const {
    std::error_code error;
    if (!fs::exists(path, error)) return shown;
    const fs::path relative = fs::relative(path, folder_.empty() ? "." : folder_, error);
    return "<a href=\"" + html_text(url_path(error ? path : relative.string())) + "\">" + shown + "</a>";
  }

  void write_remarks() {
    const std::vector<std::string> lines = remarks(report_);
    if (lines.empty()) return;
    text_ += "<section aria-labelledby=\"remarks\"><h2 id=\"remarks\">Remarks</h2>\n<ul>\n";
    for (const std::string& line : lines) text_ += "<li>" + html_text(line) + "</li>\n";
    text_ += "</ul></section>\n";
  }

  std::string cell_html(const GridCell& cell) const {
    std::string value = html_text(cell.value);
    if (cell.cell != nullptr && !cell.cell->runs.empty()) value = link(cell.cell->runs[0].file->path, value);
    if (cell.place == Place::kBest) value = "<strong>" + value + "</strong>";
    if (cell.place == Place::kSecond) value = "<u>" + value + "</u>";
    if (cell.trained) value += kMarks.trained;
    if (!cell.deviation.empty()) value += " <small>± " + cell.deviation + "</small>";
    if (!cell.low.empty()) value += " <small>[" + cell.low + ", " + cell.high + "]</small>";
    return "<td>" + value + "</td>";
  }

  void write_scores(const TaskTable& table, const std::vector<Figure>& figures) {
    const Grid grid = make_grid(report_, table);
    const std::string id = "scores-" + html_text(table.task);
    text_ += fmt::format(
        "<section aria-labelledby=\"{0}\"><h2 id=\"{0}\">{1}</h2>\n<div class=\"wide\" tabindex=\"0\" "
        "role=\"region\" aria-label=\"Table: {1}\"><table>\n<thead><tr><th scope=\"col\">language</th>"
        "<th scope=\"col\">n</th>",
        id, html_text(grid.title));
    if (grid.has_baseline) text_ += "<th scope=\"col\">majority</th>";
    for (const std::string& system : grid.systems) text_ += "<th scope=\"col\">" + html_text(system) + "</th>";
    text_ += "</tr></thead>\n<tbody>\n";
    for (const GridRow& row : grid.rows) {
      if (row.kind == GridRow::Kind::kFamily) {
        text_ += fmt::format("<tr class=\"family\"><th colspan=\"{}\" scope=\"colgroup\">{}</th></tr>\n",
                             grid.systems.size() + 2 + (grid.has_baseline ? 1 : 0), html_text(row.name));
        continue;
      }
      const bool is_mean = row.kind == GridRow::Kind::kMean;
      text_ += std::string(is_mean ? "<tr class=\"mean\">" : "<tr>") + "<th scope=\"row\">" + html_text(row.name) +
               kMarks.after_name(row) + "</th><td>" + row.sentences + "</td>";
      if (grid.has_baseline) text_ += "<td>" + row.baseline + "</td>";
      for (const GridCell& cell : row.cells) text_ += cell_html(cell);
      text_ += "</tr>\n";
    }
    text_ += fmt::format(
        "</tbody></table></div>\n<p class=\"legend\">{}. A number links to its first result file; all "
        "of them are below.</p>\n",
        fmt::join(legend_of(grid, report_, kMarks), "; "));
    for (const Figure& figure : figures)
      if (figure.file == "heat-map-" + table.task || figure.file.starts_with("map-" + table.task + "-"))
        write_figure(figure);
    write_files(table);
    text_ += "</section>\n";
  }

  void write_figure(const Figure& figure) {
    text_ += "<figure><div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"" +
             html_text("Figure: " + figure.title) + "\">" + figure.svg + "</div>\n";
    if (!figure.table.empty()) write_table("Numbers of this figure", figure.table, figure.title);
    text_ += "</figure>\n";
  }

  // A table of plain texts, folded away.
  void write_table(const std::string& summary, const std::vector<std::vector<std::string>>& rows,
                   const std::string& name) {
    text_ += "<details><summary>" + summary +
             "</summary><div class=\"wide\" tabindex=\"0\" role=\"region\" "
             "aria-label=\"" +
             html_text("Table: " + name) + "\"><table>\n<thead><tr>";
    for (const std::string& cell : rows[0]) text_ += "<th scope=\"col\">" + html_text(cell) + "</th>";
    text_ += "</tr></thead>\n<tbody>\n";
    for (size_t i = 1; i < rows.size(); ++i) {
      text_ += "<tr>";
      for (size_t column = 0; column < rows[i].size(); ++column)
        text_ += (column == 0 ? "<th scope=\"row\">" : "<td>") + html_text(rows[i][column]) +
                 (column == 0 ? "</th>" : "</td>");
      text_ += "</tr>\n";
    }
    text_ += "</tbody></table></div></details>\n";
  }

  void write_files(const TaskTable& table) {
    text_ +=
        "<details><summary>Every result file</summary><div class=\"wide\" tabindex=\"0\" role=\"region\" "
        "aria-label=\"" +
        html_text("Result files of " + table.task) +
        "\"><table>\n<thead><tr><th scope=\"col\">pair</th><th scope=\"col\">system</th><th scope=\"col\">run</th>"
        "<th scope=\"col\">seed</th><th scope=\"col\">value</th><th scope=\"col\">files</th></tr></thead>\n<tbody>\n";
    for (const Row* row : table.rows())
      for (size_t system = 0; system < row->cells.size(); ++system)
        for (const RunScore& score : row->cells[system].runs) {
          const Run& run = report_.selection.runs[score.run];
          text_ += "<tr><th scope=\"row\">" + html_text(row->pair.name()) + "</th><td>" +
                   html_text(report_.systems()[system].label) + "</td><td>" + html_text(run.path) + "</td><td>" +
                   (run.has_config ? std::to_string(run.seed) : "?") + "</td><td>" +
                   value_text(score.value, table.metric) + "</td><td>" + link(score.file->path, "result") + " " +
                   link(score.file->predictions_path(), "predictions") + "</td></tr>\n";
        }
    text_ += "</tbody></table></div></details>\n";
  }

  void write_curves(const std::vector<Figure>& figures) {
    bool any = false;
    for (const Figure& figure : figures) {
      if (!figure.file.starts_with("loss-") && !figure.file.starts_with("score-")) continue;
      if (!any) text_ += "<section aria-labelledby=\"curves\"><h2 id=\"curves\">Learning curves</h2>\n";
      any = true;
      write_figure(figure);
    }
    if (any) text_ += "</section>\n";
  }

  void write_runs() {
    const std::vector<std::string> keys = report_.selection.differing_settings();
    text_ +=
        "<section aria-labelledby=\"runs\"><h2 id=\"runs\">Runs</h2>\n<p>With the settings that differ between "
        "them.</p>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Table: runs\"><table>\n<thead><tr>"
        "<th scope=\"col\">system</th><th scope=\"col\">run</th><th scope=\"col\">seed</th><th scope=\"col\">step</th>";
    for (const std::string& key : keys) text_ += "<th scope=\"col\">" + html_text(key) + "</th>";
    text_ += "<th scope=\"col\">files</th></tr></thead>\n<tbody>\n";
    for (const System& system : report_.systems())
      for (const size_t index : system.runs) {
        const Run& run = report_.selection.runs[index];
        const train::RunDir files{run.path};
        text_ += "<tr><th scope=\"row\">" + html_text(system.label) + "</th><td>" + html_text(run.path) + "</td><td>" +
                 (run.has_config ? std::to_string(run.seed) : "?") + "</td><td>" + std::to_string(run.step) + "</td>";
        for (const std::string& key : keys) {
          const auto found = run.settings.find(key);
          text_ += "<td>" + html_text(found == run.settings.end() ? "?" : found->second) + "</td>";
        }
        text_ += "<td>" + link(files.config(), "settings") + " " + link(files.environment(), "environment") + " " +
                 link(files.metrics(), "metrics") + "</td></tr>\n";
      }
    text_ += "</tbody></table></div></section>\n";
  }

  const Report& report_;
  const std::string folder_;
  std::string text_;
};

}  // namespace

std::string html_report(const Report& report, const std::vector<Figure>& figures, const std::string& folder) {
  return Page(report, folder).write(figures);
}

}  // namespace hyperx::report

#include <iostream>

#include "app/commands.h"
#include "common/errors.h"
#include "report/writers.h"

namespace hyperx {
namespace {

int run_report(const CommandLine& line) {
  if (line.objects.empty()) throw UserError(ExitCode::kUsage, "name runs, or a folder of runs: hyperx report runs");
  report::ReadOptions options;
  options.split = line.flag("split", options.split);
  options.step = line.count_flag("step", -1);
  const report::Report report =
      report::make_report(report::select_systems(line.objects, options), options, line.flag("metric"));
  const std::string format = line.flag("format", "text");
  if (format == "markdown")
    std::cout << report::markdown_report(report);
  else if (format == "latex")
    std::cout << report::latex_report(report);
  else if (format == "csv")
    std::cout << report::csv_report(report);
  else
    std::cout << report::text_report(report);
  return 0;
}

}  // namespace

Command report_command() {
  CommandSpec spec;
  spec.name = "report";
  spec.usage = "hyperx report [LABEL=]RUN[,RUN...]... [--split test] [--output FOLDER|FILE] [--format FORMAT]";
  spec.summary = "tables and figures of the scores of runs";
  spec.flags = {{"split", "dev|test", "split whose results are shown (test)"},
                {"step", "N", "results of this step"},
                {"metric", "NAME", "metric"},
                {"format", "F", "format"}};
  return {spec, run_report};
}

}  // namespace hyperx

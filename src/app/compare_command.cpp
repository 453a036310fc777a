#include <charconv>
#include <iostream>

#include "app/commands.h"
#include "app/report_options.h"
#include "common/errors.h"
#include "report/comparison.h"

namespace hyperx {
namespace {

int run_compare(const CommandLine& line) {
  if (line.objects.size() < 2)
    throw UserError(ExitCode::kUsage, "name the systems: hyperx compare A=RUN[,RUN...] B=RUN[,RUN...]");
  const report::Resampling resampling = resampling_of(line);
  const report::Report report = report_of(line);
  const report::Comparison comparison = report::compare_systems(report, resampling);
  const std::string format = line.flag("format", "text");
  if (format == "text") {
    std::cout << report::text_comparison(comparison, report);
  } else if (format == "markdown") {
    std::cout << report::markdown_comparison(comparison, report);
  } else if (format == "latex") {
    std::cout << report::latex_comparison(comparison, report);
  } else if (format == "csv") {
    std::cout << report::csv_comparison(comparison, report);
  } else {
    throw UserError(ExitCode::kUsage, "--format takes text, markdown, latex or csv, not '" + format + "'");
  }
  return 0;
}

}  // namespace

Command compare_command() {
  CommandSpec spec;
  spec.name = "compare";
  spec.usage = "hyperx compare [LABEL=]RUN[,RUN...] [LABEL=]RUN[,RUN...]... [--split test] [--trials N] [--seed N]";
  spec.summary = "tests whether the scores of systems differ";
  spec.help =
      "For each two systems, each pair of task and language, and the means over languages: the difference of the\n"
      "scores, its 95 % interval (paired bootstrap over runs and sentences) and the p-value of the paired approximate\n"
      "randomisation over sentences, also corrected for the number of tests (Holm). RUN, LABEL and the way in which\n"
      "runs become systems are as in `hyperx report`. It needs the predictions of every sentence: `hyperx evaluate "
      "RUN\n"
      "--eval.predictions yes` writes them.\n\n"
      "  hyperx compare runs/hyperx-1,runs/hyperx-2 runs/madx-1,runs/madx-2\n"
      "  hyperx compare 'Hyper-X=runs/hyperx-*' 'MAD-X=runs/madx-*' --format latex";
  spec.flags = selection_flags();
  spec.flags.insert(spec.flags.end(), {{"trials", "N", "trials of each test (10000)"},
                                       {"seed", "N", "seed of the trials (12345)"},
                                       {"format", "text|markdown|latex|csv", "format of the output (text)"}});
  return {spec, run_compare};
}

}  // namespace hyperx

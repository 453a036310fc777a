#include "app/report_options.h"

#include <charconv>

#include "common/errors.h"
#include "common/log.h"
#include "report/systems.h"

namespace hyperx {
namespace {

constexpr size_t kProblemsShown = 10;

// 0 is a step, and a seed, too.
int64_t whole_number(const CommandLine& line, const std::string& name, int64_t fallback) {
  const std::string text = line.flag(name, std::to_string(fallback));
  int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_number = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
  if (!is_number || (number < 0 && number != fallback))
    throw UserError(ExitCode::kUsage, "--" + name + " takes a whole number, at least 0, not '" + text + "'");
  return number;
}

}  // namespace

std::vector<FlagSpec> selection_flags() {
  return {{"split", "dev|test", "split whose results are used (test)"},
          {"step", "N", "use the results of this step; by default those of the best checkpoint, or the last ones"},
          {"metric", "NAME", "metric of the result files, such as las or strict_f1; by default each task's main one"}};
}

report::Report report_of(const CommandLine& line) {
  report::ReadOptions options;
  options.split = line.flag("split", options.split);
  if (options.split != "dev" && options.split != "test")
    throw UserError(ExitCode::kUsage, "--split takes dev or test, not '" + options.split + "'");
  options.step = whole_number(line, "step", options.step);
  report::Report report =
      report::make_report(report::select_systems(line.objects, options), options, line.flag("metric"));
  const auto& problems = report.selection.problems;
  for (size_t i = 0; i < problems.size() && i < kProblemsShown; ++i) log::warning("not used: {}", text_of(problems[i]));
  if (problems.size() > kProblemsShown) log::warning("and {} more are not used", problems.size() - kProblemsShown);
  return report;
}

report::Resampling resampling_of(const CommandLine& line) {
  report::Resampling options;
  options.trials = static_cast<size_t>(line.count_flag("trials", static_cast<int64_t>(options.trials)));
  options.seed = static_cast<uint64_t>(whole_number(line, "seed", static_cast<int64_t>(options.seed)));
  return options;
}

}  // namespace hyperx

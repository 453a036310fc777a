#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <sstream>

#include "common/quoting.h"
#include "common/text_table.h"
#include "common/version.h"
#include "report/comparison.h"
#include "report/escape.h"
#include "report/writers.h"

namespace hyperx::report {
namespace {

constexpr double kSignificant = 0.05;
constexpr double kPercent = 100;

std::string p_text(double p) { return fmt::format("{:.4f}", p); }

std::string difference_text(double value) { return fmt::format("{:+.1f}", kPercent * value); }

// Test by test the cells of a row, without those of a format.
std::vector<std::string> cells_of(const Test& test) {
  return {
      test.pairs > 1 || test.name.starts_with("mean") ? fmt::format("{} (n = {})", test.name, test.pairs) : test.name,
      test.metric.empty() ? "all metrics" : test.metric,
      std::to_string(test.sentences),
      fmt::format("{:.1f}", kPercent * test.first_score),
      fmt::format("{:.1f}", kPercent * test.second_score),
      difference_text(test.difference),
      fmt::format("[{}, {}]", difference_text(test.interval.low), difference_text(test.interval.high)),
      p_text(test.p),
      p_text(test.p_holm) + (test.p_holm < kSignificant ? "*" : "")};
}

struct Section {
  std::string first, second;  // labels with the number of runs
  std::vector<const Test*> tests;
};

std::string label_of(const Report& report, size_t system, size_t runs) {
  return fmt::format("{} ({} {})", report.systems()[system].label, runs, runs == 1 ? "run" : "runs");
}

// One section for each two systems: first the single pairs, then the means.
std::vector<Section> sections_of(const Comparison& comparison, const Report& report) {
  std::map<std::pair<size_t, size_t>, Section> sections;
  for (const auto* tests : {&comparison.tests, &comparison.means})
    for (const Test& test : *tests) sections[{test.first, test.second}].tests.push_back(&test);
  std::vector<Section> list;
  for (auto& [systems, section] : sections) {
    const Test& mean = *section.tests.back();
    section.first = label_of(report, systems.first, mean.first_runs);
    section.second = label_of(report, systems.second, mean.second_runs);
    list.push_back(std::move(section));
  }
  return list;
}

std::vector<std::string> head_of(const Section& section) {
  return {"pair", "metric", "sentences", section.first, section.second, "difference", "95 % interval", "p", "p (Holm)"};
}

std::vector<std::string> method_text(const Comparison& comparison) {
  return {fmt::format("scores in per cent; difference: first system minus second"),
          fmt::format("interval: paired bootstrap over runs and sentences; p: paired approximate randomisation over "
                      "sentences, two-sided; {} trials each, seed {}",
                      comparison.options.trials, comparison.options.seed),
          fmt::format("p (Holm): corrected for {} tests of single pairs, and for {} tests of means; * below {}",
                      comparison.tests.size(), comparison.means.size(), kSignificant),
          "p is about these runs on other sentences; the interval also about other seeds, as far as the number of runs "
          "can tell"};
}

template <class Escape>
std::vector<std::string> escaped(const std::vector<std::string>& texts, Escape escape) {
  std::vector<std::string> result;
  for (const std::string& text : texts) result.push_back(escape(text));
  return result;
}

}  // namespace

std::string text_comparison(const Comparison& comparison, const Report& report) {
  std::ostringstream out;
  for (const Section& section : sections_of(comparison, report)) {
    TextTable table(escaped(head_of(section), plain_text));
    for (const Test* test : section.tests) table.add(escaped(cells_of(*test), plain_text));
    table.print(out, "");
    out << "\n";
  }
  for (const std::string& line : method_text(comparison)) out << line << "\n";
  for (const std::string& line : remarks(report)) out << "- " << plain_text(line) << "\n";
  return out.str();
}

std::string markdown_comparison(const Comparison& comparison, const Report& report) {
  std::string text;
  for (const Section& section : sections_of(comparison, report)) {
    text += fmt::format("| {} |\n| --- | --- |{}\n", fmt::join(escaped(head_of(section), markdown_text), " | "),
                        " --: | --: | --: | --: | --: | --: | --: |");
    for (const Test* test : section.tests)
      text += fmt::format("| {} |\n", fmt::join(escaped(cells_of(*test), markdown_text), " | "));
    text += "\n";
  }
  for (const std::string& line : method_text(comparison)) text += "- " + markdown_text(line) + "\n";
  for (const std::string& line : remarks(report)) text += "- " + markdown_text(line) + "\n";
  return text;
}

std::string latex_comparison(const Comparison& comparison, const Report& report) {
  std::string text = fmt::format("% Made by hyperx compare {}; \\usepackage{{booktabs}}.\n", version());
  for (const std::string& line : remarks(report)) text += "% " + plain_text(line) + "\n";
  for (const Section& section : sections_of(comparison, report)) {
    text += fmt::format(
        "\n\\begin{{table}}\n  \\centering\n  \\caption{{{} against {}: {}.}}\n  \\begin{{tabular}}{{llrrrrrrr}}\n    "
        "\\toprule\n    {} \\\\\n    \\midrule\n",
        latex_text(section.first), latex_text(section.second),
        fmt::join(escaped(method_text(comparison), latex_text), "; "),
        fmt::join(escaped(head_of(section), latex_text), " & "));
    bool in_means = false;
    for (const Test* test : section.tests) {
      if (test->name.starts_with("mean") && !in_means) text += "    \\midrule\n", in_means = true;
      text += fmt::format("    {} \\\\\n", fmt::join(escaped(cells_of(*test), latex_text), " & "));
    }
    text += "    \\bottomrule\n  \\end{tabular}\n\\end{table}\n";
  }
  return text;
}

std::string csv_comparison(const Comparison& comparison, const Report& report) {
  std::string text =
      "first,second,pair,metric,split,pairs,sentences,first_runs,second_runs,first_score,second_score,difference,low,"
      "high,p,p_holm,trials,seed\n";
  for (const auto* tests : {&comparison.tests, &comparison.means})
    for (const Test& test : *tests)
      text += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n",
                          csv_field(report.systems()[test.first].label), csv_field(report.systems()[test.second].label),
                          csv_field(test.name), test.metric, report.options.split, test.pairs, test.sentences,
                          test.first_runs, test.second_runs, test.first_score, test.second_score, test.difference,
                          test.interval.low, test.interval.high, test.p, test.p_holm, comparison.options.trials,
                          comparison.options.seed);
  return text;
}

}  // namespace hyperx::report

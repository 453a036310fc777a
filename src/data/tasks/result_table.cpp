#include "data/tasks/result_table.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "data/tokenizer/utf8.h"

namespace hyperx::data {
namespace {

constexpr double kPercent = 100;
constexpr size_t kLanguageWidth = 24, kCellWidth = 16;

const std::array<LanguageInfo, 17> kLanguages = {{
    {"en", "English", true},
    {"ar", "Arabic", true},
    {"br", "Breton", true},
    {"is", "Icelandic", true},
    {"kk", "Kazakh", true},
    {"ta", "Tamil", true},
    {"tl", "Tagalog", true},
    {"tr", "Turkish", true},
    {"yo", "Yoruba", true},
    {"zh", "Chinese", true},
    {"fo", "Faroese", false},
    {"gn", "Guarani", false},
    {"hsb", "Upper Sorbian", false},
    {"mt", "Maltese", false},
    {"sa", "Sanskrit", false},
    {"ug", "Uyghur", false},
    {"yue", "Cantonese", false},
}};

bool is_share(const std::string& metric) { return metric != "loss" && metric != "perplexity"; }

std::string value_text(const EvaluationResult& result, double value) {
  if (std::isnan(value)) return "n/a";
  return is_share(result.main_metric) ? fmt::format("{:.1f}", kPercent * value) : fmt::format("{:.3f}", value);
}

std::string cell_text(const EvaluationResult& result) {
  std::string text = value_text(result, result.main_value()) + (result.trained ? "*" : " ");
  if (result.baseline) text += fmt::format(" ({})", value_text(result, *result.baseline));
  return text;
}

std::string row_text(const std::string& name, const std::vector<std::string>& cells) {
  const size_t width = count_code_points(name);
  std::string row = name + std::string(width < kLanguageWidth ? kLanguageWidth - width : 1, ' ');
  for (const std::string& cell : cells) row += fmt::format("{:>{}}", cell, kCellWidth);
  return row + "\n";
}

using Group = std::map<std::string, std::vector<const EvaluationResult*>>;  // by task or by language

// One mean per task over the results that `belongs` accepts; an empty string if it accepts none at all.
template <class Belongs>
std::string mean_row(const std::string& name, const Group& by_task, Belongs belongs) {
  std::vector<std::string> cells;
  bool any = false;
  for (const auto& [task, results] : by_task) {
    double sum = 0;
    int count = 0;
    const EvaluationResult* example = nullptr;
    for (const EvaluationResult* result : results) {
      if (!belongs(*result) || std::isnan(result->main_value())) continue;
      sum += result->main_value();
      ++count;
      example = result;
    }
    cells.push_back(count == 0 ? "" : value_text(*example, sum / count) + fmt::format("  n={}", count));
    any = any || count > 0;
  }
  return any ? row_text(name, cells) : "";
}

std::string group_name(const std::string& code) {
  const LanguageInfo* const language = find_language(code);
  return language == nullptr ? "others" : language->in_mbert ? "seen by mBERT" : "not seen by mBERT";
}

size_t place_in_table(const std::string& code) {
  const LanguageInfo* const language = find_language(code);
  return language == nullptr ? kLanguages.size() : static_cast<size_t>(language - kLanguages.data());
}

}  // namespace

const LanguageInfo* find_language(const std::string& code) {
  const auto found =
      std::find_if(kLanguages.begin(), kLanguages.end(), [&](const auto& known) { return known.code == code; });
  return found == kLanguages.end() ? nullptr : &*found;
}

std::string results_table(const std::vector<EvaluationResult>& results) {
  Group by_task, by_language;
  for (const EvaluationResult& result : results) {
    by_task[result.pair.task].push_back(&result);
    by_language[result.pair.language].push_back(&result);
  }
  std::vector<std::string> codes, headings;
  for (const auto& [code, found] : by_language) codes.push_back(code);
  std::stable_sort(codes.begin(), codes.end(),
                   [](const auto& a, const auto& b) { return place_in_table(a) < place_in_table(b); });
  for (const auto& [task, found] : by_task) headings.push_back(task + " " + found.front()->main_metric + " ");

  std::string table = row_text("", headings);
  std::string group;
  for (const std::string& code : codes) {
    if (group != group_name(code)) table += (group = group_name(code)) + "\n";
    std::vector<std::string> cells;
    for (const auto& [task, unused] : by_task) {
      const auto& of_language = by_language[code];
      const auto found = std::find_if(of_language.begin(), of_language.end(),
                                      [&](const auto* result) { return result->pair.task == task; });
      cells.push_back(found == of_language.end() ? "- " : cell_text(**found));
    }
    const LanguageInfo* const language = find_language(code);
    table += row_text("  " + (language == nullptr ? code : language->name + " (" + code + ")"), cells);
  }
  const auto of_group = [](const std::string& name) {
    return [name](const EvaluationResult& result) { return group_name(result.pair.language) == name; };
  };
  table += mean_row("mean, seen", by_task, of_group("seen by mBERT"));
  table += mean_row("mean, not seen", by_task, of_group("not seen by mBERT"));
  table += mean_row("mean, trained pairs", by_task, [](const auto& result) { return result.trained; });
  table += mean_row("mean, never trained", by_task, [](const auto& result) { return !result.trained; });
  const bool marked = std::any_of(results.begin(), results.end(), [](const auto& result) { return result.trained; });
  const bool compared =
      std::any_of(results.begin(), results.end(), [](const auto& result) { return result.baseline.has_value(); });
  if (marked) table += "* a pair whose training data was used\n";
  if (compared) table += "(in brackets: always the commonest tag of the training data)\n";
  return table;
}

}  // namespace hyperx::data

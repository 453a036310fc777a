#include "data/tasks/result_table.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "data/tokenizer/utf8.h"

namespace hyperx::data {
namespace {

constexpr double kPercent = 100;
constexpr size_t kLanguageWidth = 24, kCellWidth = 16;

// Names of the paper's languages; other languages go by their codes.
const std::map<std::string, std::string> kNames = {
    {"ar", "Arabic"},         {"br", "Breton"},    {"en", "English"}, {"fo", "Faroese"}, {"gn", "Guarani"},
    {"hsb", "Upper Sorbian"}, {"is", "Icelandic"}, {"kk", "Kazakh"},  {"mt", "Maltese"}, {"sa", "Sanskrit"},
    {"ta", "Tamil"},          {"tl", "Tagalog"},   {"tr", "Turkish"}, {"ug", "Uyghur"},  {"yo", "Yoruba"},
    {"yue", "Cantonese"},     {"zh", "Chinese"}};

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

constexpr const char* kRead = "read by the encoder";
constexpr const char* kNotRead = "not read by the encoder";
constexpr const char* kUnknown = "unknown whether the encoder has read them (it has no languages.txt)";

std::string group_name(const std::string& code, const LanguagesRead& read) {
  return !read ? kUnknown : read->contains(code) ? kRead : kNotRead;
}

std::string shown_name(const std::string& code) {
  const auto found = kNames.find(code);
  return found == kNames.end() ? code : found->second + " (" + code + ")";
}

}  // namespace

std::string results_table(const std::vector<EvaluationResult>& results, const LanguagesRead& read) {
  Group by_task, by_language;
  for (const EvaluationResult& result : results) {
    by_task[result.pair.task].push_back(&result);
    by_language[result.pair.language].push_back(&result);
  }
  std::vector<std::string> codes, headings;
  for (const auto& [code, found] : by_language) codes.push_back(code);
  const auto place = [&](const std::string& code) {
    return std::tuple(group_name(code, read) == kNotRead, code != "en", shown_name(code));
  };
  std::sort(codes.begin(), codes.end(), [&](const auto& a, const auto& b) { return place(a) < place(b); });
  for (const auto& [task, found] : by_task) headings.push_back(task + " " + found.front()->main_metric + " ");

  std::string table = row_text("", headings);
  std::string group;
  for (const std::string& code : codes) {
    if (group != group_name(code, read)) table += (group = group_name(code, read)) + "\n";
    std::vector<std::string> cells;
    for (const auto& [task, unused] : by_task) {
      const auto& of_language = by_language[code];
      const auto found = std::find_if(of_language.begin(), of_language.end(),
                                      [&name = task](const auto* result) { return result->pair.task == name; });
      cells.push_back(found == of_language.end() ? "- " : cell_text(**found));
    }
    table += row_text("  " + shown_name(code), cells);
  }
  const auto of_group = [&](const std::string& name) {
    return [&read, name](const EvaluationResult& result) { return group_name(result.pair.language, read) == name; };
  };
  table += mean_row("mean, read", by_task, of_group(kRead));
  table += mean_row("mean, not read", by_task, of_group(kNotRead));
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

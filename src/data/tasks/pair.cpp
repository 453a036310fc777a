#include "data/tasks/pair.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <string_view>

#include "common/errors.h"

namespace hyperx::data {
namespace {

constexpr std::string_view kNotInNames = " \t,:{}*!/\\";

bool is_name(std::string_view text) {
  return !text.empty() && text != "." && text != ".." && text.find_first_of(kNotInNames) == std::string_view::npos;
}

// An element of a set: task and languages, either of which may be *, a name, or {a,b,c}.
struct Pattern {
  std::vector<std::string> tasks, languages;
  bool removes = false;
};

// Splits at commas outside braces.
std::vector<std::string> split_set(const std::string& set) {
  std::vector<std::string> parts = {""};
  int depth = 0;
  for (const char c : set) {
    if (c == '{') ++depth;
    if (c == '}') --depth;
    if (c == ',' && depth == 0)
      parts.emplace_back();
    else if (c != ' ')
      parts.back() += c;
  }
  return parts;
}

std::vector<std::string> alternatives(const std::string& text) {
  if (!text.starts_with('{') || !text.ends_with('}')) return {text};
  return split_set(text.substr(1, text.size() - 2));
}

// `pattern` against a name with or without @source. * matches any name without one; "*@*" any with one; "yo@*" those of
// yo.
bool matches(std::string_view pattern, std::string_view name) {
  const size_t pattern_at = pattern.find('@'), name_at = name.find('@');
  if ((pattern_at == std::string_view::npos) != (name_at == std::string_view::npos)) return false;
  const auto part = [](std::string_view wanted, std::string_view given) { return wanted == "*" || wanted == given; };
  if (pattern_at == std::string_view::npos) return part(pattern, name);
  return part(pattern.substr(0, pattern_at), name.substr(0, name_at)) &&
         part(pattern.substr(pattern_at + 1), name.substr(name_at + 1));
}

bool any_matches(const std::vector<std::string>& patterns, std::string_view name) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return matches(pattern, name); });
}

std::string name_list(const std::vector<Pair>& pairs) {
  std::vector<std::string> names;
  for (const Pair& pair : pairs) names.push_back(pair.name());
  return fmt::format("{}", fmt::join(names, " "));
}

// Each name of {a,b,c} must match some pair: a misspelt one would otherwise be left out silently.
void check_alternatives(const Pattern& pattern, const std::string& element, const std::vector<Pair>& available,
                        const std::string& key) {
  const auto stands_in = [&](const std::string& task, const std::string& language) {
    return std::any_of(available.begin(), available.end(),
                       [&](const Pair& pair) { return matches(task, pair.task) && matches(language, pair.language); });
  };
  const auto refuse = [&](const std::string& name) {
    throw UserError(ExitCode::kBadConfig, fmt::format("{}: '{}' of '{}' matches no pair: there are {}", key, name,
                                                      element, name_list(available)));
  };
  for (const std::string& task : pattern.tasks)
    if (std::none_of(pattern.languages.begin(), pattern.languages.end(),
                     [&](const std::string& language) { return stands_in(task, language); }))
      refuse(task);
  for (const std::string& language : pattern.languages)
    if (std::none_of(pattern.tasks.begin(), pattern.tasks.end(),
                     [&](const std::string& task) { return stands_in(task, language); }))
      refuse(language);
}

Pattern parse_pattern(std::string element, const std::string& key) {
  const std::string written = element;
  Pattern pattern;
  if (element.starts_with('!')) {
    pattern.removes = true;
    element.erase(0, 1);
  }
  const size_t colon = element.find(':');
  if (colon != std::string::npos) {
    pattern.tasks = alternatives(element.substr(0, colon));
    pattern.languages = alternatives(element.substr(colon + 1));
  }
  const auto usable = [](const std::string& name) {
    return name.find_first_of("{}:!") == std::string::npos && !name.empty();
  };
  if (colon == std::string::npos || !std::all_of(pattern.tasks.begin(), pattern.tasks.end(), usable) ||
      !std::all_of(pattern.languages.begin(), pattern.languages.end(), usable))
    throw UserError(
        ExitCode::kBadConfig,
        fmt::format(
            "{}: not a set of pairs, value '{}': write task:language, as in pos:tr, mlm:*, *:en or pos:{{tr,kk}}", key,
            written));
  return pattern;
}

}  // namespace

Pair parse_pair(const std::string& text) {
  const size_t colon = text.find(':');
  Pair pair;
  if (colon != std::string::npos) pair = {text.substr(0, colon), text.substr(colon + 1)};
  if (!is_name(pair.task) || !is_name(pair.language))
    throw UserError(ExitCode::kBadConfig,
                    fmt::format("not a pair, value '{}': write task:language, as in pos:tr", text));
  return pair;
}

std::vector<Pair> select_pairs(const std::string& set, const std::vector<Pair>& available, const std::string& key) {
  std::vector<bool> chosen(available.size(), false);
  for (const std::string& element : split_set(set)) {
    const Pattern pattern = parse_pattern(element, key);
    bool any = false;
    for (size_t i = 0; i < available.size(); ++i) {
      if (!any_matches(pattern.tasks, available[i].task) || !any_matches(pattern.languages, available[i].language))
        continue;
      any = true;
      chosen[i] = !pattern.removes;
    }
    if (!any)
      throw UserError(ExitCode::kBadConfig,
                      fmt::format("{}: '{}' matches no pair: there are {}", key, element, name_list(available)));
    check_alternatives(pattern, element, available, key);
  }
  std::vector<Pair> result;
  for (size_t i = 0; i < available.size(); ++i)
    if (chosen[i]) result.push_back(available[i]);
  return result;
}

}  // namespace hyperx::data

#include "common/config/schema.h"

#include <algorithm>

#include "common/config/make_option.h"
#include "common/log.h"

namespace hyperx::config {
namespace {

template <class Row>
const Row* find_by_key(const std::vector<Row>& rows, std::string_view key) {
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const Row& each) { return each.key == key; });
  return found == rows.end() ? nullptr : &*found;
}

}  // namespace

Check one_of(std::vector<std::string> words) { return {.words = std::move(words)}; }
Check at_least(double low) { return {.low = low}; }
Check above(double low) { return {.low = low, .low_allowed = false}; }
Check in_range(double low, double high) { return {.low = low, .high = high}; }
Check fraction() { return {.low = 0, .high = 1, .high_allowed = false}; }
Check any_text() { return {}; }

std::string Check::text() const {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (!words.empty()) return fmt::format("{}", fmt::join(words, " | "));
  if (low != -kInfinity && high != kInfinity) {
    return fmt::format("{}{} to {}{}", low_allowed ? "" : "above ", low, high_allowed ? "" : "below ", high);
  }
  if (low != -kInfinity) return fmt::format("{} {}", low_allowed ? "at least" : "above", low);
  return "";
}

const char* resume_word(Resume resume) {
  switch (resume) {
    case Resume::kFixed:
      return "fixed";
    case Resume::kLogged:
      return "logged";
    case Resume::kFree:
      break;
  }
  return "free";
}

std::string Option::expected() const {
  const std::string rule = check.text();
  if (!check.words.empty()) return "one of " + rule;
  if (is_switch()) return "yes or no";
  if (kind == "text") return "text without #, control characters or blanks around it";
  const std::string article = kind == "integer" ? "an integer" : "a number";
  return rule.empty() ? article + " of 64 bits without a sign" : article + ", " + rule;
}

const Option* Schema::find(std::string_view key) const { return find_by_key(options, key); }
const RetiredKey* Schema::find_retired(std::string_view key) const { return find_by_key(retired, key); }

void Schema::check(const Config& config, const Given& given) const {
  for (const Rule& rule : rules) rule(config, given);
}

bool is_boolean_word(std::string_view text) {
  bool value = false;
  return read_value(text, value) == Reading::kGood;
}

bool takes(const CommandSpec& spec, const Option& option) {
  return std::any_of(spec.key_prefixes.begin(), spec.key_prefixes.end(), [&](const std::string& prefix) {
    const auto covers = [&](const std::string& key) {
      return prefix.back() == '.' ? key.starts_with(prefix) : key == prefix;
    };
    return covers(option.key) || covers(option.taken_with);
  });
}

}  // namespace hyperx::config

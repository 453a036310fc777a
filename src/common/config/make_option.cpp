#include "common/config/make_option.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>

namespace hyperx::config {
namespace {

constexpr std::string_view kYes[] = {"yes", "true", "1"};
constexpr std::string_view kNo[] = {"no", "false", "0"};

bool contains(const std::string_view (&words)[3], std::string_view text) {
  return std::find(std::begin(words), std::end(words), text) != std::end(words);
}

}  // namespace

template <class T>
Reading read_value(std::string_view text, T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    value = contains(kYes, text);
    return value || contains(kNo, text) ? Reading::kGood : Reading::kNotOne;
  } else if constexpr (std::is_same_v<T, std::string>) {
    // Text must survive a config file, where # starts a comment and spaces around a value are ignored.
    const auto breaks = [](unsigned char c) { return c < ' ' || c == '#' || c == 0x7F; };
    if (std::any_of(text.begin(), text.end(), breaks)) return Reading::kNotOne;
    if (!text.empty() && (text.front() == ' ' || text.back() == ' ')) return Reading::kNotOne;
    value = text;
    return Reading::kGood;
  } else {
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error == std::errc::result_out_of_range && stop == end) return Reading::kTooLarge;
    return error == std::errc() && stop == end && std::isfinite(static_cast<double>(value)) ? Reading::kGood
                                                                                            : Reading::kNotOne;
  }
}

template <class T>
std::string write_value(const T& value) {
  if constexpr (std::is_same_v<T, bool>) return value ? "yes" : "no";
  return fmt::format("{}", value);
}

template <class T>
bool satisfies(const Check& check, const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    return check.words.empty() || std::find(check.words.begin(), check.words.end(), value) != check.words.end();
  } else {
    const double number = static_cast<double>(value);
    return (check.low_allowed ? number >= check.low : number > check.low) &&
           (check.high_allowed ? number <= check.high : number < check.high);
  }
}

template <class T>
std::string kind_of() {
  if (std::is_same_v<T, bool>) return "yes or no";
  if (std::is_integral_v<T>) return "integer";
  if (std::is_floating_point_v<T>) return "number";
  return "text";
}

#define HYPERX_OPTION_TYPE(T)                           \
  template Reading read_value<T>(std::string_view, T&); \
  template std::string write_value<T>(const T&);        \
  template bool satisfies<T>(const Check&, const T&);   \
  template std::string kind_of<T>();
HYPERX_OPTION_TYPE(bool)
HYPERX_OPTION_TYPE(int)
HYPERX_OPTION_TYPE(int64_t)
HYPERX_OPTION_TYPE(uint64_t)
HYPERX_OPTION_TYPE(double)
HYPERX_OPTION_TYPE(std::string)
#undef HYPERX_OPTION_TYPE

}  // namespace hyperx::config

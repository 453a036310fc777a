#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "common/config/schema.h"

// How a table of options is written: each row binds a key to a member of a struct, whose initialiser is its default.
namespace hyperx::config {

enum class Reading { kGood, kNotOne, kTooLarge };

// Numbers: the whole text must be decimal and inside the type's range; no hexadecimal, no inf or nan. Text: anything
// that a config file can hold. For bool, int, int64_t, uint64_t, double and std::string.
template <class T>
Reading read_value(std::string_view text, T& value);
template <class T>
std::string write_value(const T& value);  // double: the shortest text that reads back to the same bits
template <class T>
bool satisfies(const Check& check, const T& value);
template <class T>
std::string kind_of();  // "integer", "number", "yes or no", "text"

// `reach` returns the value in a mutable Config, `look` in a const one.
template <class T>
Option bind(std::function<T&(Config&)> reach, std::function<const T&(const Config&)> look, Option option) {
  option.kind = kind_of<T>();
  if constexpr (std::is_same_v<T, std::string>) option.text = reach;
  option.set = [reach = std::move(reach), made_for = option](Config& config, const std::string& text) {
    T value{};
    const Reading reading = read_value(text, value);
    if (reading == Reading::kTooLarge)
      throw std::invalid_argument(
          fmt::format("{}; this does not fit into {} bits", made_for.expected(), 8 * sizeof(T)));
    if (reading != Reading::kGood || !satisfies(made_for.check, value))
      throw std::invalid_argument(made_for.expected());
    reach(config) = value;
  };
  option.get = [look = std::move(look)](const Config& config) { return write_value(look(config)); };
  return option;
}

// An option in the struct `Section` of a method or task.
template <class Section, class T>
Option option(T Section::*member, const char* key, const char* help, Check check = {}, Resume resume = Resume::kFree,
              const char* taken_with = "") {
  return bind<T>([member](Config& config) -> T& { return config.sections.edit<Section>().*member; },
                 [member](const Config& config) -> const T& { return config.sections.get<Section>().*member; },
                 {key, help, {}, std::move(check), resume, nullptr, nullptr, taken_with});
}

}  // namespace hyperx::config

#pragma once

#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "common/errors.h"

// The table of options as the files of config* share it; everybody else reads the plain structs of config.h.
namespace hyperx::config {

// What a value must satisfy, as data, so that help and error messages say the same.
struct Check {
  std::vector<std::string> words;  // text: one of these; empty: any
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_allowed = true;   // false: above `low`
  bool high_allowed = true;  // false: below `high`

  std::string text() const;  // "report | drop | refuse", "at least 0", "0 to 1"; empty: anything goes
};

// One option: its key, its help with unit, and how its text gets into a Config and out of it.
struct Option {
  std::string key;
  std::string help;
  std::string kind;  // "integer", "number", "yes or no", "text"
  Check check;
  // Throws std::invalid_argument that says what is expected ("an integer, at least 0").
  std::function<void(Config&, const std::string& text)> set;
  std::function<std::string(const Config&)> get;

  bool is_switch() const { return kind == "yes or no"; }
  std::string expected() const;  // "an integer, at least 0"
};

// A key of an earlier version. Typed by a person it is refused with the advice; stored in a file that such a version
// wrote, it is read as its new name, or passed over where there is none.
struct RetiredKey {
  std::string key;
  std::string new_key;  // empty: there is none
  std::string advice;   // what to do in place of it; without a new key
};
const RetiredKey* find_retired_key(std::string_view key);  // nullptr: it is none

const std::vector<Option>& options();
const Option* find_option(std::string_view key);  // nullptr: there is none

// "yes", "no", "1", "0", "true", "false".
bool is_boolean_word(std::string_view text);

// Whether a command that declares these prefixes takes the key: "train." takes all of train., "threads" itself alone.
bool takes_key(const CommandSpec& spec, std::string_view key);

// One `key = value` of a file, with its line.
struct Assignment {
  std::string key, value;
  int line = 0;
};
// UserError (78) naming file and line: a line that is none of `key = value`, `# comment`, `[section]`; a repeated key.
std::vector<Assignment> parse_assignments(const std::string& text, const std::string& file);

// Names the nearest known key, among those of `spec` unless it is null. `place` is "file:line: ", or empty for the
// command line.
[[noreturn]] void throw_unknown_key(const std::string& key, const std::string& place, ExitCode code,
                                    const CommandSpec* spec);

}  // namespace hyperx::config

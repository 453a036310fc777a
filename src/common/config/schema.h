#pragma once

#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "common/errors.h"
#include "common/log.h"

// The options as a table: what parsing, --help, --dump-config, checkpoints and configs/OPTIONS.md are made from. Those
// of every run stand in run_options.cpp; methods and tasks bring their own (model/options.h puts them together).
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

Check one_of(std::vector<std::string> words);
Check at_least(double low);
Check above(double low);
Check in_range(double low, double high);
Check fraction();  // at least 0, below 1
Check any_text();

// Whether a resumed run may have another value than the run began with.
enum class Resume {
  kFixed,   // no: the run would be another one
  kLogged,  // yes, and the log says so: what is learnt changes from here on
  kFree,    // yes: nothing that is learnt depends on it
};
const char* resume_word(Resume resume);  // "fixed", "logged", "free"

// One option: its key, its help with unit, and how its text gets into a Config and out of it.
struct Option {
  std::string key;
  std::string help;
  std::string kind;  // "integer", "number", "yes or no", "text"
  Check check;
  Resume resume = Resume::kFree;
  // Throws std::invalid_argument that says what is expected ("an integer, at least 0").
  std::function<void(Config&, const std::string& text)> set;
  std::function<std::string(const Config&)> get;
  // Commands that take keys with this prefix take this one too: "model." of a method's, "eval." of a task's option.
  std::string taken_with = {};

  bool is_switch() const { return kind == "yes or no"; }
  std::string expected() const;  // "an integer, at least 0"
};

// A key of an earlier version. Typed by a person it is refused with the advice; stored in a file that such a version
// wrote, it is read as its new name, or passed over where there is none.
struct RetiredKey {
  std::string key;
  std::string new_key = {};       // empty: there is none
  std::string advice = {};        // what to do in place of it; without a new key
  std::string value_of_now = {};  // the value that does what this version does; empty: any
};

// A rule across options; throws UserError (78). `given` says where a key stands, whatever its value; stored settings
// are all kDefault.
enum class Source { kDefault, kFile, kCommandLine };
using Given = std::function<Source(std::string_view key)>;
using Rule = std::function<void(const Config& config, const Given& given)>;

struct Schema {
  std::vector<Option> options;
  std::vector<RetiredKey> retired;
  std::vector<Rule> rules;

  const Option* find(std::string_view key) const;  // nullptr: there is none
  const RetiredKey* find_retired(std::string_view key) const;
  void check(const Config& config, const Given& given) const;
};

// The options that every run has. `methods`: the names that model.method may have.
Schema run_options(const std::vector<std::string>& methods);

// "yes", "no", "1", "0", "true", "false".
bool is_boolean_word(std::string_view text);

// Whether a command that declares these prefixes takes the option: "train." all of train., "threads" itself alone.
bool takes(const CommandSpec& spec, const Option& option);

// One `key = value` of a file, with its line.
struct Assignment {
  std::string key, value;
  int line = 0;
};
// UserError (78) naming file and line: a line that is none of `key = value`, `# comment`, `[section]`; a repeated key.
std::vector<Assignment> parse_assignments(const std::string& text, const std::string& file);

// Names the nearest known key, among those of `spec` unless it is null. `place` is "file:line: ", or empty for the
// command line.
[[noreturn]] void throw_unknown_key(const Schema& schema, const std::string& key, const std::string& place,
                                    ExitCode code, const CommandSpec* spec);

// For rules.
template <class... Args>
void require(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) throw UserError(ExitCode::kBadConfig, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace hyperx::config

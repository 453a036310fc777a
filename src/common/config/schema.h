#pragma once

#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "common/errors.h"
#include "common/log.h"

// The table of options, from which parsing, --help, --dump-config, checkpoints and configs/OPTIONS.md are produced. The
// options of every run are in run_options.cpp; methods and tasks add their own (model/options.h combines them).
namespace hyperx::config {

// What a value must satisfy, as data, so that help and error messages agree.
struct Check {
  std::vector<std::string> words;  // text: one of these; empty: any
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_allowed = true;   // false: above `low`
  bool high_allowed = true;  // false: below `high`

  std::string text() const;  // "report | drop | refuse", "at least 0", "0 to 1"; empty: any value
};

Check one_of(std::vector<std::string> words);
Check at_least(double low);
Check above(double low);
Check in_range(double low, double high);
Check fraction();  // at least 0, below 1
Check any_text();

// Whether a resumed run may change the value that the run began with.
enum class Resume {
  kFixed,   // no: it would be a different run
  kLogged,  // yes, with a log line: training differs from here on
  kFree,    // yes: no result of training depends on it
};
const char* resume_word(Resume resume);  // "fixed", "logged", "free"

// The paths that an option's text holds: none, one, one after an optional "random:", or several between commas.
enum class Paths { kNone, kOne, kEncoder, kList };

// One option: its key, its help text with unit, and how its value is set and read as text.
struct Option {
  std::string key;
  std::string help;
  std::string kind;  // "integer", "number", "yes or no", "text"
  Check check;
  Resume resume = Resume::kFree;
  // Throws std::invalid_argument that says what is expected ("an integer, at least 0").
  std::function<void(Config&, const std::string& text)> set;
  std::function<std::string(const Config&)> get;
  // Commands that take this key, or keys with this prefix, also take this one: "model." for a method's options,
  // "eval." for a task's, "model.encoder" for what may also change when a model is used.
  std::string taken_with = {};
  Paths paths = Paths::kNone;
  // Of kind "text": the value itself, to be set without a check.
  std::function<std::string&(Config&)> text = {};

  bool is_switch() const { return kind == "yes or no"; }
  std::string expected() const;  // "an integer, at least 0"
};

// A key of an earlier version. On the command line or in a user's config file it is refused with the advice. In a file
// that the earlier version stored, it is read under its new name, or ignored if it has none.
struct RetiredKey {
  std::string key;
  std::string new_key = {};       // empty: none
  std::string advice = {};        // what to do instead, where there is no new key
  std::string value_of_now = {};  // the value whose behaviour this version has; empty: any
};

// A rule across options; throws UserError (78). `given` returns where a key's value comes from: kDefault also where a
// file states the default, and for all stored settings; kNotTaken if the command does not take the key.
enum class Source { kNotTaken, kDefault, kFile, kCommandLine };
using Given = std::function<Source(std::string_view key)>;
using Rule = std::function<void(const Config& config, const Given& given)>;

struct Schema {
  std::vector<Option> options;
  std::vector<RetiredKey> retired;
  std::vector<Rule> rules;

  const Option* find(std::string_view key) const;  // nullptr: none
  const RetiredKey* find_retired(std::string_view key) const;
  void check(const Config& config, const Given& given) const;
};

// The options that every run has. `methods`: the names that model.method may have.
Schema run_options(const std::vector<std::string>& methods);

// "yes", "no", "1", "0", "true", "false".
bool is_boolean_word(std::string_view text);

// Whether a command with these prefixes takes the option. "train." takes all keys of train.; "threads" takes only
// itself.
bool takes(const CommandSpec& spec, const Option& option);

// One `key = value` line of a file, with its line number.
struct Assignment {
  std::string key, value;
  int line = 0;
  std::string section = {};  // header above it, without brackets; `key` begins with it and a dot
};
// UserError (78) naming file and line: a line other than `key = value`, `# comment` or `[section]`; a repeated key.
std::vector<Assignment> parse_assignments(const std::string& text, const std::string& file);

// Sets what a settings file says, of the keys that `spec` takes, and calls `taken` for each of them. Paths in a file
// that a run or a sweep stored are resolved. UserError (78) naming file and line.
void read_settings(const Schema& schema, const CommandSpec& spec, const std::string& file, Config& config,
                   const std::function<void(const std::string& key, int line)>& taken);
// UserError (`code`): "PLACEkey = 'value': expected ...".
void set_value(const Option& option, Config& config, const std::string& value, const std::string& place, ExitCode code);

// Names the nearest known key, among those of `spec` if it is not null. `place` is "file:line: ", or empty for the
// command line.
[[noreturn]] void throw_unknown_key(const Schema& schema, const std::string& key, const std::string& place,
                                    ExitCode code, const CommandSpec* spec);

// For rules.
template <class... Args>
void require(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) throw UserError(ExitCode::kBadConfig, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace hyperx::config

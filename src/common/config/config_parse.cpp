#include <algorithm>
#include <boost/program_options/errors.hpp>
#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "common/config/make_option.h"
#include "common/config/schema.h"
#include "common/config/stored_paths.h"
#include "common/errors.h"
#include "common/files.h"

namespace po = boost::program_options;

namespace hyperx {
namespace config {
namespace {

constexpr const char* kDefaultOrigin = "default";
constexpr const char* kCommandLineOrigin = "command line";

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\r");
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

[[noreturn]] void throw_bad_value(const std::string& place, const std::string& key, const std::string& value,
                                  const std::string& expected, ExitCode code) {
  throw UserError(code, place + key + " = '" + value + "': expected " + expected);
}

// Boost cuts a line at the first #, wherever it is. A # inside a word is hardly meant as a comment, and cutting there
// would silently change the value.
void refuse_hidden_comment(const std::string& line, const std::string& place) {
  const size_t hash = line.find('#');
  if (hash != std::string::npos && hash > 0 && line[hash - 1] != ' ' && line[hash - 1] != '\t') {
    throw UserError(ExitCode::kBadConfig,
                    place + "'" + trimmed(line) +
                        "': a # inside a word; values cannot hold one, and a comment wants a blank before it");
  }
}

// "grid" of "[grid]  # comment"; empty: no section has begun.
std::string name_of(const std::string& section) {
  const std::string header = trimmed(section.substr(0, section.find('#')));
  return header.size() < 2 ? "" : trimmed(header.substr(1, header.size() - 2));
}

}  // namespace

std::vector<Assignment> parse_assignments(const std::string& text, const std::string& file) {
  const po::options_description nothing_declared;
  std::vector<Assignment> found;
  std::map<std::string, int> line_of_key;
  std::istringstream lines(text.rfind("\xEF\xBB\xBF", 0) == 0 ? text.substr(3) : text);
  std::string line, section;
  // Boost reports no line numbers, so it gets one line at a time, under the current section header.
  for (int number = 1; std::getline(lines, line); ++number) {
    const std::string place = file + ":" + std::to_string(number) + ": ";
    line = trimmed(line);
    if (line.empty() || line.front() == '#') continue;
    refuse_hidden_comment(line, place);
    if (line.front() == '[') section = line;
    std::istringstream one_line(line == section ? line + "\n" : section + "\n" + line + "\n");
    try {
      const po::parsed_options parsed = po::parse_config_file(one_line, nothing_declared, true);
      for (const po::option& option : parsed.options) {
        const auto [earlier, is_new] = line_of_key.emplace(option.string_key, number);
        if (!is_new) {
          throw UserError(ExitCode::kBadConfig, place + option.string_key + " stands in line " +
                                                    std::to_string(earlier->second) + " already: remove one of them");
        }
        found.push_back(
            {option.string_key, option.value.empty() ? "" : option.value.front(), number, name_of(section)});
      }
    } catch (const po::error&) {
      throw UserError(ExitCode::kBadConfig,
                      place + "'" + line + "' is none of `key = value`, `# comment`, `[section]`");
    }
  }
  return found;
}

void throw_unknown_key(const Schema& schema, const std::string& key, const std::string& place, ExitCode code,
                       const CommandSpec* spec) {
  std::vector<std::string> known;
  for (const Option& option : schema.options) {
    if (spec == nullptr || takes(*spec, option)) known.push_back(option.key);
  }
  const bool on_command_line = place.empty();
  if (on_command_line && spec != nullptr) {
    for (const FlagSpec& flag : spec->flags) known.push_back(flag.name);
    known.insert(known.end(), {"config", "dump-config", "origin", "help"});
  }
  const std::string dashes = on_command_line ? "--" : "";
  if (const RetiredKey* const retired = schema.find_retired(key)) {
    const std::string now =
        retired->new_key.empty() ? " was removed: " + retired->advice : " is now called " + dashes + retired->new_key;
    throw UserError(code, place + dashes + key + now);
  }
  const std::string nearest = nearest_word(key, known);
  std::string message = place + "unknown " + (on_command_line ? "option " : "key ") + dashes + key;
  if (!nearest.empty()) {
    message += "; did you mean " + dashes + nearest + "?";
  } else {
    message += spec == nullptr ? "; `hyperx options` lists them all" : "; `" + spec->title() + " --help` lists them";
  }
  throw UserError(code, message);
}

namespace {

// The current name of a stored key. Empty: the option was removed, and its value has no effect or is what this version
// does anyway. UserError (78): the value asks for something that this version cannot do.
std::string key_of_now(const Schema& schema, const Assignment& stored, const std::string& place, Removed removed) {
  const RetiredKey* const retired = schema.find_retired(stored.key);
  if (retired == nullptr) return stored.key;
  require(!retired->new_key.empty() || removed == Removed::kPassOver || retired->value_of_now.empty() ||
              stored.value == retired->value_of_now,
          "{}{} = {}: this version has no such option ({}); it cannot continue what that produced", place, stored.key,
          stored.value, retired->advice);
  return retired->new_key;
}

// RUN/config.conf as `train` wrote it, or SWEEP/rows/DIGEST.conf as `sweep plan` did, possibly by an earlier version; a
// person wrote all other files.
bool is_stored(const std::string& file) {
  const std::filesystem::path path(file), folder = path.parent_path();
  if (folder.filename() == "rows") return std::filesystem::exists(folder.parent_path() / "plan.json");
  return path.filename() == "config.conf" && std::filesystem::exists(folder / "environment.json");
}

}  // namespace

void set_value(const Option& option, Config& config, const std::string& value, const std::string& place,
               ExitCode code) {
  try {
    option.set(config, value);
  } catch (const std::invalid_argument& error) {
    throw_bad_value(place, (place.empty() ? "--" : "") + option.key, value, error.what(), code);
  }
}

void read_settings(const Schema& schema, const CommandSpec& spec, const std::string& file, Config& config,
                   const std::function<void(const std::string& key, int line)>& taken) {
  const bool stored = is_stored(file);
  for (const Assignment& each : parse_assignments(read_file(file), file)) {
    const std::string place = file + ":" + std::to_string(each.line) + ": ";
    const std::string key = stored ? key_of_now(schema, each, place, Removed::kRefuse) : each.key;
    if (key.empty()) continue;
    const Option* const option = schema.find(key);
    if (option == nullptr) throw_unknown_key(schema, key, place, ExitCode::kBadConfig, &spec);
    if (!takes(spec, *option)) continue;  // one file serves prepare, train and evaluate: each uses the keys it knows
    set_value(*option, config, each.value, place, ExitCode::kBadConfig);
    if (stored && option->paths != Paths::kNone) {
      const std::string folder = std::filesystem::path(file).parent_path().string();
      const auto resolve = [&](const std::string& path) { return path_of_stored(path, folder.empty() ? "." : folder); };
      option->text(config) = with_paths(*option, option->get(config), resolve);
    }
    taken(key, each.line);
  }
}

namespace {

// Collects the contents of the command line in a CommandLine.
class LineParser {
 public:
  LineParser(const Schema& schema, const CommandSpec& spec, const std::vector<std::string>& arguments)
      : schema_(schema), spec_(spec) {
    line_.command = spec.name;
    line_.arguments = arguments;
    for (const std::string& prefix : spec.key_prefixes) {
      const CommandSpec only{.key_prefixes = {prefix}};
      HYPERX_CHECK(std::any_of(schema.options.begin(), schema.options.end(),
                               [&](const Option& each) { return takes(only, each); }),
                   "no option is called " + prefix + ", which `" + spec.title() + "` declares");
    }
    for (const Option& option : schema.options) {
      if (takes(spec, option)) origin_of_key_[option.key] = kDefaultOrigin;
    }
    split(arguments);
  }

  CommandLine parse() {
    if (line_.help) return std::move(line_);
    const po::parsed_options parsed = parse_options();
    for (const po::option& option : parsed.options) check_known(option);
    for (const po::option& option : parsed.options) {
      if (option.string_key != "config") continue;
      const std::string& file = option.value.front();
      read_settings(schema_, spec_, file, line_.config, [&](const std::string& key, int line) {
        origin_of_key_[key] = "file " + file + ":" + std::to_string(line);
      });
    }
    for (const po::option& option : parsed.options) take(option);
    for (const Option& option : schema_.options) {
      const auto found = origin_of_key_.find(option.key);
      if (found != origin_of_key_.end()) line_.origins.push_back({option.key, option.get(line_.config), found->second});
    }
    line_.objects.insert(line_.objects.end(), after_dashes_.begin(), after_dashes_.end());
    return std::move(line_);
  }

 private:
  // Normalises the arguments so that Boost need not guess: every key gets a value, no switch gets one.
  void split(const std::vector<std::string>& arguments) {
    const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
    if (dashes != arguments.end()) after_dashes_.assign(dashes + 1, arguments.end());
    for (auto argument = arguments.begin(); argument != dashes; ++argument) {
      if (*argument == "--help" || *argument == "-h") line_.help = true;
      const size_t equals = argument->rfind("--", 0) == 0 ? argument->find('=') : std::string::npos;
      if (equals != std::string::npos && equals + 1 == argument->size()) {  // --key= : an empty value
        arguments_.push_back(argument->substr(0, equals));
        arguments_.emplace_back();
        continue;
      }
      arguments_.push_back(*argument);
      const Option* const option = argument->rfind("--", 0) == 0 ? schema_.find(argument->substr(2)) : nullptr;
      const bool value_follows = argument + 1 != dashes && is_boolean_word(*(argument + 1));
      if (option != nullptr && option->is_switch() && !value_follows) arguments_.emplace_back("yes");
    }
  }

  po::parsed_options parse_options() const {
    po::options_description declared;
    for (const Option& option : schema_.options) declared.add_options()(option.key.c_str(), po::value<std::string>());
    for (const FlagSpec& flag : spec_.flags) {
      if (flag.value_name.empty()) {
        declared.add_options()(flag.name.c_str(), "");
      } else {
        declared.add_options()(flag.name.c_str(), po::value<std::string>());
      }
    }
    declared.add_options()("config", po::value<std::string>())("dump-config", "")("origin", "");
    using po::command_line_style::allow_long;
    using po::command_line_style::long_allow_adjacent;
    using po::command_line_style::long_allow_next;
    try {
      return po::command_line_parser(arguments_)
          .options(declared)
          .style(allow_long | long_allow_adjacent | long_allow_next)
          .allow_unregistered()
          .run();
    } catch (const po::error& error) {
      throw UserError(ExitCode::kUsage, std::string(error.what()) + "; options are written --KEY VALUE or --KEY=VALUE");
    }
  }

  void check_known(const po::option& option) const {
    if (option.position_key >= 0) {  // a positional argument
      const std::string& word = option.value.front();
      if (word.size() > 1 && word.front() == '-') {
        throw UserError(ExitCode::kUsage, "unknown option " + word +
                                              "; options are written --KEY VALUE, and an object that " +
                                              "starts with a dash comes after --");
      }
    } else if (option.unregistered) {
      throw_unknown_key(schema_, option.string_key, "", ExitCode::kUsage, &spec_);
    } else if (option.original_tokens.size() > 1 && option.value.front().rfind("--", 0) == 0) {
      throw UserError(ExitCode::kUsage, "--" + option.string_key + " wants a value, but is followed by " +
                                            option.value.front() +
                                            "; a value with such a start is written --KEY=VALUE");
    }
  }

  void refuse_foreign_key(const Option& option) const {
    if (takes(spec_, option)) return;
    throw UserError(ExitCode::kUsage, "--" + option.key + " is no key of `" + spec_.title() + "`; `" + spec_.title() +
                                          " --help` lists what it takes");
  }

  void take(const po::option& given) {
    if (given.position_key >= 0) {
      line_.objects.push_back(given.value.front());
      return;
    }
    const std::string& key = given.string_key;
    if (key == "config") return;
    if (!seen_.insert(key).second) {
      throw UserError(ExitCode::kUsage, "--" + key + " is given twice: remove one of them");
    }
    const std::string value = given.value.empty() ? "" : given.value.front();
    if (const Option* const option = schema_.find(key)) {
      refuse_foreign_key(*option);
      set_value(*option, line_.config, value, "", ExitCode::kUsage);
      origin_of_key_[key] = kCommandLineOrigin;
    } else if (key == "dump-config") {
      line_.dump_config = true;
    } else if (key == "origin") {
      line_.dump_origin = true;
    } else {
      line_.flags.emplace_back(key, value);
    }
  }

  const Schema& schema_;
  const CommandSpec& spec_;
  CommandLine line_;
  std::vector<std::string> arguments_;     // before --
  std::vector<std::string> after_dashes_;  // positional arguments, whatever they look like
  std::map<std::string, std::string> origin_of_key_;
  std::set<std::string> seen_;
};

}  // namespace
}  // namespace config

bool CommandLine::has_flag(const std::string& name) const {
  return std::any_of(flags.begin(), flags.end(), [&](const auto& flag) { return flag.first == name; });
}

std::string CommandLine::flag(const std::string& name, const std::string& fallback) const {
  const auto found = std::find_if(flags.begin(), flags.end(), [&](const auto& flag) { return flag.first == name; });
  return found == flags.end() ? fallback : found->second;
}

config::Source CommandLine::source(std::string_view key) const {
  using config::Source;
  const auto found =
      std::find_if(origins.begin(), origins.end(), [&](const ConfigOrigin& each) { return each.key == key; });
  if (found == origins.end()) return Source::kNotTaken;
  if (found->origin == config::kDefaultOrigin) return Source::kDefault;
  return found->origin == config::kCommandLineOrigin ? Source::kCommandLine : Source::kFile;
}

bool CommandLine::given(const std::string& key) const { return source(key) > config::Source::kDefault; }

namespace {

template <class T>
T positive_flag(const CommandLine& line, const std::string& name, T fallback, const char* expected) {
  if (!line.has_flag(name)) return fallback;
  T value{};
  if (config::read_value(line.flag(name), value) != config::Reading::kGood ||
      !config::satisfies(config::above(0), value))
    throw UserError(ExitCode::kUsage, "--" + name + " '" + line.flag(name) + "': expected " + expected + " above 0");
  return value;
}

}  // namespace

double CommandLine::number_flag(const std::string& name, double fallback) const {
  return positive_flag(*this, name, fallback, "a number");
}

int64_t CommandLine::count_flag(const std::string& name, int64_t fallback) const {
  return positive_flag(*this, name, fallback, "a whole number");
}

bool CommandLine::word_flag(const std::string& name, const std::string& word) const {
  if (!has_flag(name)) return false;
  if (flag(name) != word)
    throw UserError(ExitCode::kUsage, "--" + name + " '" + flag(name) + "': " + word + " is all that it can be");
  return true;
}

CommandLine parse_command_line(const config::Schema& schema, const CommandSpec& spec,
                               const std::vector<std::string>& arguments) {
  CommandLine line = config::LineParser(schema, spec, arguments).parse();
  if (line.help) return line;
  schema.check(line.config, [&](std::string_view key) {
    const config::Source source = line.source(key);
    // A file that a program wrote has every key.
    const bool is_default =
        source == config::Source::kFile && schema.find(key)->get(line.config) == schema.find(key)->get(Config());
    return is_default ? config::Source::kDefault : source;
  });
  return line;
}

Config parse_config_text(const config::Schema& schema, const std::string& text, const std::string& name_of_source,
                         Removed removed) {
  Config result;
  for (const config::Assignment& each : config::parse_assignments(text, name_of_source)) {
    const std::string place = name_of_source + ":" + std::to_string(each.line) + ": ";
    const std::string key = config::key_of_now(schema, each, place, removed);
    if (key.empty()) continue;
    const config::Option* const option = schema.find(key);
    if (option == nullptr) config::throw_unknown_key(schema, key, place, ExitCode::kBadConfig, nullptr);
    try {
      option->set(result, each.value);
    } catch (const std::invalid_argument& error) {
      config::throw_bad_value(place, each.key, each.value, error.what(), ExitCode::kBadConfig);
    }
  }
  return result;
}

}  // namespace hyperx

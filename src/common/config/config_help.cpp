#include <algorithm>

#include "common/config/schema.h"
#include "common/log.h"

namespace hyperx {
namespace {

using config::Option;

constexpr size_t kHelpColumn = 34;
constexpr size_t kLineWidth = 110;
constexpr char kNoBreak = '\x01';  // stands for a space at which a line must not break

// "train" of "train.steps"; all keys without a prefix form one group.
std::string group_of(const std::string& key) {
  const size_t dot = key.find('.');
  return dot == std::string::npos ? "machine" : key.substr(0, dot);
}

// `left` in the first column, `text` next to it in lines of kLineWidth.
std::string two_columns(const std::string& left, const std::string& text) {
  std::string result = "  " + left;
  if (result.size() + 2 > kHelpColumn) {
    result += "\n" + std::string(kHelpColumn, ' ');
  } else {
    result.resize(kHelpColumn, ' ');
  }
  size_t column = kHelpColumn;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    if (column > kHelpColumn && column + 1 + (end - begin) > kLineWidth) {
      result += "\n" + std::string(kHelpColumn, ' ');
      column = kHelpColumn;
    }
    if (column > kHelpColumn) {
      result += ' ';
      ++column;
    }
    result += text.substr(begin, end - begin);
    column += end - begin;
    begin = end + 1;
  }
  std::replace(result.begin(), result.end(), kNoBreak, ' ');
  return result + "\n";
}

// "help; report | drop | refuse (default report)".
std::string description(const Option& option) {
  const std::string rule = option.check.text();
  std::string values = option.is_switch() ? "yes or no" : rule;
  if (!values.empty()) values = "; " + values;
  const std::string standard = option.get(Config{});
  return option.help + values + " (" +
         (standard.empty() ? "no" + std::string(1, kNoBreak) + "default"
                           : "default" + std::string(1, kNoBreak) + standard) +
         ")";
}

std::string line_of(const std::string& key, const std::string& value) {
  return key + " =" + (value.empty() ? "" : " " + value);
}

std::string escaped_for_table(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, 1, '\\');
  return text;
}

// Calls `visit(option, is_first_of_its_group)` for every option that `wanted` accepts.
template <class Wanted, class Visit>
void for_each_option(const config::Schema& schema, Wanted wanted, Visit visit) {
  std::string group;
  for (const Option& option : schema.options) {
    if (!wanted(option)) continue;
    const bool is_first = group_of(option.key) != group;
    group = group_of(option.key);
    visit(option, is_first);
  }
}

}  // namespace

std::string dump_config(const CommandLine& line) {
  std::string text, group;
  for (const ConfigOrigin& each : line.origins) {
    if (!group.empty() && group != group_of(each.key)) text += "\n";
    group = group_of(each.key);
    std::string one = line_of(each.key, each.value);
    if (line.dump_origin) one += std::string(one.size() < 44 ? 44 - one.size() : 0, ' ') + "  # " + each.origin;
    text += one + "\n";
  }
  return text;
}

std::string dump_config(const config::Schema& schema, const Config& config) {
  std::string text;
  for_each_option(
      schema, [](const Option&) { return true; },
      [&](const Option& option, bool is_first) {
        if (is_first && !text.empty()) text += "\n";
        text += line_of(option.key, option.get(config)) + "\n";
      });
  return text;
}

std::string command_help(const config::Schema& schema, const CommandSpec& spec) {
  std::string text = spec.title() + ": " + spec.summary + "\n\nUsage: " + spec.usage + "\n";
  if (!spec.help.empty()) text += "\n" + spec.help + "\n";
  text += "\nOptions:\n";
  for (const FlagSpec& flag : spec.flags) {
    text += two_columns("--" + flag.name + (flag.value_name.empty() ? "" : " " + flag.value_name), flag.help);
  }
  if (!spec.key_prefixes.empty()) {
    text += two_columns("--config FILE", "settings file of `key = value` lines; may be repeated, a later file wins");
    text += two_columns("--dump-config", "print all settings as a config file, and exit");
    text += two_columns("--origin", "the same, with where each value came from");
  }
  text += two_columns("--help", "this text");
  for_each_option(
      schema, [&](const Option& option) { return config::takes(spec, option); },
      [&](const Option& option, bool is_first) {
        if (is_first) text += "\nSettings, " + group_of(option.key) + ":\n";
        text += two_columns("--" + option.key, description(option));
      });
  return text;
}

std::string options_markdown(const config::Schema& schema) {
  std::string text =
      "# Configuration keys\n\n"
      "Made by `hyperx options`; a test compares it with the program. Every key may stand in a config file\n"
      "(one `key = value` per line, `#` starts a comment, `[train]` puts `train.` before the keys that follow) and on "
      "the\n"
      "command line (`--key value` or `--key=value`). The command line goes before the files given by `--config`, a "
      "later\n"
      "file before an earlier one, any file before the default. Units are in brackets. On resume: `fixed` is refused "
      "with another value than the run\n"
      "began with, `logged` may change and the log says so, `free` may change.\n";
  for_each_option(
      schema, [](const Option&) { return true; },
      [&](const Option& option, bool is_first) {
        if (is_first) {
          text += "\n## " + group_of(option.key) +
                  "\n\n| key | default | values | on resume | meaning |\n| --- | --- | --- | --- | --- |\n";
        }
        const std::string rule = option.check.text();
        const std::string values = option.kind + (rule.empty() ? "" : ": " + rule);
        const std::string standard = option.get(Config{});
        text += "| `" + option.key + "` | " + (standard.empty() ? "" : "`" + standard + "`") + " | " +
                escaped_for_table(values) + " | " + resume_word(option.resume) + " | " +
                escaped_for_table(option.help) + " |\n";
      });
  return text;
}

}  // namespace hyperx

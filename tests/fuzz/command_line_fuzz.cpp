#include <map>

#include "app/commands.h"
#include "model/options.h"
#include "tests/fuzz/fuzz.h"

// A command line, one argument per line, the first of them the command.
void hyperx::fuzz::parse(std::string_view input) {
  static const std::map<std::string, CommandSpec> specs = [] {
    std::map<std::string, CommandSpec> by_name;
    for (const Command& command : all_commands()) by_name.emplace(command.spec.name, command.spec);
    write("a.conf", "train.steps = 7\n[eval]\nlimit = 3\n");
    return by_name;
  }();
  std::vector<std::string> arguments;
  while (!input.empty()) {
    const size_t end = std::min(input.find('\n'), input.size());
    std::string argument(input.substr(0, end));
    if (!arguments.empty() && arguments.back() == "--config") argument = folder() + "/a.conf";
    arguments.push_back(std::move(argument));
    input.remove_prefix(std::min(end + 1, input.size()));
  }
  if (arguments.empty()) return;
  const auto spec = specs.find(arguments.front());
  if (spec == specs.end()) return;
  arguments.erase(arguments.begin());
  const CommandLine line = parse_command_line(model::options(), spec->second, arguments);
  if (line.help) touch(command_help(model::options(), spec->second));
  touch(dump_config(line));
}

#include <iostream>

#include "app/commands.h"
#include "app/program.h"
#include "common/errors.h"
#include "common/version.h"
#include "model/options.h"

namespace hyperx {
namespace {

std::string program_help(const std::vector<Command>& commands) {
  std::string text = "hyperx " + std::string(version()) +
                     ": distributed training of Hyper-X, one hypernetwork for all tasks and languages\n\n"
                     "Usage: hyperx COMMAND [OBJECT]... [--config FILE]... [--KEY VALUE]...\n\n"
                     "Commands:\n";
  for (const Command& command : commands) {
    text += "  " + command.spec.name + std::string(12 - std::min<size_t>(11, command.spec.name.size()), ' ') +
            command.spec.summary + "\n";
  }
  return text +
         "\n`hyperx COMMAND --help` describes a command; `hyperx --version` says how this program was built.\n"
         "Exit codes: 0 done, 64 usage, 65 bad data, 66 no input, 69 doctor found something wrong, 70 our bug, 73 "
         "cannot create, 74 reading or writing "
         "failed,\n"
         "75 stopped by a signal with all saved (run the same line again), 78 bad config.\n";
}

const Command& find_command(const std::vector<Command>& commands, const std::string& name) {
  std::vector<std::string> names;
  for (const Command& command : commands) {
    if (command.spec.name == name) return command;
    names.push_back(command.spec.name);
  }
  if (name == "bench") throw UserError(ExitCode::kUsage, "the benchmarks are a program of their own: hyperx-bench");
  const std::string nearest = nearest_word(name, names);
  throw UserError(ExitCode::kUsage,
                  "unknown command '" + name + "'" +
                      (nearest.empty() ? "; `hyperx --help` lists them" : "; did you mean '" + nearest + "'?"));
}

// `title` becomes "hyperx COMMAND" once the command is known.
int dispatch(std::vector<std::string> arguments, std::string& title) {
  const std::vector<Command> commands = all_commands();
  if (arguments.empty()) {
    std::cerr << program_help(commands);
    return static_cast<int>(ExitCode::kUsage);
  }
  const std::string name = arguments.front();
  arguments.erase(arguments.begin());
  if (name == "--version" || name == "version") {
    std::cout << version_text();
    return 0;
  }
  if (name == "--help" || name == "-h" || name == "help") {
    std::cout << (arguments.empty() ? program_help(commands)
                                    : command_help(model::options(), find_command(commands, arguments[0]).spec));
    return 0;
  }
  const Command& command = find_command(commands, name);
  title += " " + name;
  return run_command(command, arguments);
}

}  // namespace
}  // namespace hyperx

int main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "", sub_word = argc > 2 ? argv[2] : "";
  if (command == "train" || (command == "sweep" && sub_word == "run")) hyperx::hold_stop_signals();
  return hyperx::run_program("hyperx", [&](std::string& title) {
    return hyperx::dispatch({argv + 1, argv + argc}, title);
  });
}

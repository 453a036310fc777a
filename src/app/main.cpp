#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <iostream>
#include <thread>

#include "app/commands.h"
#include "common/errors.h"
#include "common/host.h"
#include "common/version.h"
#include "model/options.h"

namespace hyperx {
namespace {

constexpr std::chrono::seconds kTurn{4};  // rank 0 speaks first, then one rank per node, then the others

// Every sub-command, in the order of --help, a row each.
// clang-format off
std::vector<Command> all_commands() {
  return {
      prepare_command(),
      tokenize_command(),
      train_command(),
      evaluate_command(),
      predict_command(),
      score_command(),
      status_command(),
      inspect_command(),
      verify_command(),
      estimate_command(),
      bench_command(),
      options_command(),
  };
}
// clang-format on

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
         "\n`hyperx COMMAND --help` tells what it takes; `hyperx --version` tells how this program was built.\n"
         "Exit codes: 0 done, 64 usage, 65 bad data, 66 no input, 70 our bug, 73 cannot create, 74 reading or writing "
         "failed,\n"
         "75 stopped by a signal with all saved (run the same line again), 78 bad config.\n";
}

const Command& find_command(const std::vector<Command>& commands, const std::string& name) {
  std::vector<std::string> names;
  for (const Command& command : commands) {
    if (command.spec.name == name) return command;
    names.push_back(command.spec.name);
  }
  const std::string nearest = nearest_word(name, names);
  throw UserError(ExitCode::kUsage,
                  "unknown command '" + name + "'" +
                      (nearest.empty() ? "; `hyperx --help` lists them" : "; did you mean '" + nearest + "'?"));
}

int run_command(const Command& command, const std::vector<std::string>& arguments) {
  const CommandLine line = parse_command_line(model::options(), command.spec, arguments);
  if (line.help) {
    std::cout << command_help(model::options(), command.spec);
    return 0;
  }
  if (line.dump_config || line.dump_origin) {
    std::cout << dump_config(line);
    return 0;
  }
  return command.run(line);
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

int fail(const std::string& title, const std::string& message, ExitCode code) {
  std::cout.flush();
  std::cerr << title << ": " << message << std::endl;
  return static_cast<int>(code);
}

// What was printed may still lie in a buffer, and the disk behind it may be full.
int finish_output(const std::string& title, int code) {
  if (std::cout.flush() && std::fflush(stdout) == 0) return code;
  return fail(title, "cannot write to standard output: " + errno_text(), ExitCode::kIo);
}

// What the launcher says, as MPI has not started. Empty: no launcher.
std::string from_launcher(std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (const char* const value = std::getenv(name)) return value;
  return "";
}

// Most mistakes are those of all ranks, and mpirun ends the others once rank 0 has told it and ended. A rank that still
// lives when its turn comes has a mistake of its own, such as a node without a file.
int fail_in_turn(const std::string& title, const UserError& error) {
  const std::string rank = from_launcher({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"});
  if (rank.empty() || rank == "0") return fail(title, error.what(), error.code());
  const std::string on_node = from_launcher({"OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID"});
  std::this_thread::sleep_for(on_node.empty() || on_node == "0" ? kTurn : 2 * kTurn);
  return fail(title, "rank " + rank + " on host " + host_name() + ": " + error.what(), error.code());
}

int guarded_main(const std::vector<std::string>& arguments) {
  std::string title = "hyperx";
  try {
    return finish_output(title, dispatch(arguments, title));
  } catch (const UserError& error) {
    return fail_in_turn(title, error);
  } catch (const SystemError& error) {
    return fail(title, error.what(), error.code());
  } catch (const std::bad_alloc&) {
    return fail(title, "not enough memory", ExitCode::kIo);
  } catch (const std::exception& error) {
    return fail(title, std::string("a bug, please report it with the command line: ") + error.what(), ExitCode::kBug);
  }
}

}  // namespace
}  // namespace hyperx

int main(int argc, char** argv) {
  // `hyperx status | head` ends as quietly as `ls | head`, also when the parent ignores the signal and we inherit that.
  std::signal(SIGPIPE, SIG_DFL);
  return hyperx::guarded_main({argv + 1, argv + argc});
}

#pragma once

#include "common/config/config.h"

// How a sub-command is registered: src/app/NAME_command.cpp defines `Command NAME_command();`, which is declared in
// commands.h and has a row in the table of commands.cpp.
namespace hyperx {

struct Command {
  CommandSpec spec;
  // Runs the command and returns the exit code. Failures are thrown: main() prints them and chooses the code. --help
  // and --dump-config are handled before it is called.
  int (*run)(const CommandLine&);
};

}  // namespace hyperx

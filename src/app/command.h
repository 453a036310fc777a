#pragma once

#include "common/config/config.h"

// How a sub-command hangs in the program: src/app/NAME_command.cpp defines `Command NAME_command();`, declares it in
// commands.h and has a row in the table of main.cpp.
namespace hyperx {

struct Command {
  CommandSpec spec;
  // Does the work and returns the exit code. What goes wrong is thrown: main() prints it and chooses the code. --help
  // and
  // --dump-config are dealt with before it is called.
  int (*run)(const CommandLine&);
};

}  // namespace hyperx

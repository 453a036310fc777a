#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/command.h"

// Shared by the programs of this project: `hyperx`, and `hyperx-bench` of bench/.
namespace hyperx {

// Handles --help and --dump-config, or runs the command. Returns the exit code.
int run_command(const Command& command, const std::vector<std::string>& arguments);

// For main() of a training: signals of a StopRequest that come earlier are held until it exists.
void hold_stop_signals();

// Runs `work` and returns its exit code. An exception is printed after "TITLE: " and gives the exit code; if several
// ranks make the same mistake, only one prints it. A failure to write the output is an error too. `work` may extend the
// title.
int run_program(const std::string& title, const std::function<int(std::string& title)>& work);

}  // namespace hyperx

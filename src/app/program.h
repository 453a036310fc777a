#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/command.h"

// What the programs of this project have in common: `hyperx`, and `hyperx-bench` of bench/.
namespace hyperx {

// --help and --dump-config, or the command itself. Returns the exit code.
int run_command(const Command& command, const std::vector<std::string>& arguments);

// Runs `work` and returns its exit code. What it throws is printed after "TITLE: " and becomes the exit code: of
// several ranks that make the same mistake one speaks. Output that cannot be written is an error, too. `work` may
// lengthen the title.
int run_program(const std::string& title, const std::function<int(std::string& title)>& work);

}  // namespace hyperx

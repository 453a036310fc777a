#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace hyperx::sweep {

// A program to start. It gets a process group of its own, so that the terminal's Ctrl-C does not reach it directly, no
// blocked signals, and SIGTERM if this process is killed.
struct Program {
  std::vector<std::string> words;  // its path and arguments
  std::vector<int> cores;          // that it may use; empty: as this one
  std::vector<std::pair<std::string, std::optional<std::string>>> variables = {};  // set, or removed
  std::string log = {};  // its output is appended there; empty: to that of this process
};

// Returns its number. SystemError: it cannot be started.
pid_t start(const Program& program);

// Replaces this process by the program: signals and exit code are its own. `keep_blocked`: signals that are blocked
// stay so, for a program that unblocks them once it can take them.
[[noreturn]] void become(const std::vector<std::string>& words, bool keep_blocked);

struct Output {
  int code = 0;      // exit code; 128 + the signal that ended it
  std::string text;  // what it wrote to standard output
};
// Runs the program and waits for it. `variables` as in Program. SystemError: it cannot be started.
Output output_of(const std::vector<std::string>& words);
bool is_on_path(const std::string& name);

// Exit code as a shell tells it: 128 + the signal, of waitpid()'s status.
int code_of(int status);

std::vector<int> cores_of_this_process();  // that it may use
// Cores of one of `slots` that share `cores`: of their own, or, if there are too few, one that several have.
std::vector<int> share_of(const std::vector<int>& cores, size_t slot, size_t slots);

}  // namespace hyperx::sweep

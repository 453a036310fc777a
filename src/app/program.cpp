#include "app/program.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <iostream>

#include "common/errors.h"
#include "common/host.h"
#include "common/short_values.h"
#include "common/signals.h"
#include "model/options.h"

namespace hyperx {
namespace {

constexpr std::chrono::seconds kTurn{4};  // rank 0 prints first, then one rank per node, then the others

int fail(const std::string& title, const std::string& message, ExitCode code) {
  std::cout.flush();
  std::cerr.clear();
  std::cerr << title << ": " << with_short_values(message) << std::endl;
  return static_cast<int>(code);
}

// Printed text may still be in a buffer, and the disk may be full.
int finish_output(const std::string& title, int code) {
  if (std::cout.flush() && std::fflush(stdout) == 0) return code;
  return fail(title, "cannot write to standard output: " + errno_text(), ExitCode::kIo);
}

// A value from the launcher's environment, because MPI has not started. Empty: no launcher.
std::string from_launcher(std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (const char* const value = std::getenv(name)) return value;
  return "";
}

// Waits for a stop signal. srun ends the other ranks with SIGTERM and reports the highest exit code: a rank that let
// the signal kill it would hide rank 0's code behind 143.
bool stopped_within(std::chrono::seconds time) {
  const sigset_t signals = stop_signal_set();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const timespec limit{time.count(), 0};
  return ::sigtimedwait(&signals, nullptr, &limit) > 0;
}

// Most mistakes are common to all ranks, and mpirun ends the others once rank 0 has printed its message and exited. A
// rank that is still alive at its turn has a mistake of its own, such as a file missing on its node.
int fail_in_turn(const std::string& title, const UserError& error) {
  const std::string rank = from_launcher({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"});
  if (rank.empty() || rank == "0") return fail(title, error.what(), error.code());
  const std::string on_node = from_launcher({"OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID"});
  if (stopped_within(on_node.empty() || on_node == "0" ? kTurn : 2 * kTurn)) return static_cast<int>(error.code());
  return fail(title, "rank " + rank + " on host " + host_name() + ": " + error.what(), error.code());
}

// The next file that is opened would get the number of a closed descriptor, and the program's output. Opened in the
// opposite direction, so that reading and writing still fail.
void fill_standard_descriptors() {
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(standard, F_GETFD) < 0) ::open("/dev/null", standard == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

}  // namespace

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

void hold_stop_signals() {
  const sigset_t signals = stop_signal_set();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

int run_program(const std::string& first_title, const std::function<int(std::string& title)>& work) {
  fill_standard_descriptors();
  // `hyperx status | head` ends as quietly as `ls | head`, even if the parent ignores the signal and we inherit that.
  std::signal(SIGPIPE, SIG_DFL);
  std::signal(SIGXFSZ, SIG_IGN);  // a write beyond `ulimit -f` fails with an error, and temporary files are removed
  std::string title = first_title;
  try {
    return finish_output(title, work(title));
  } catch (const UserError& error) {
    return fail_in_turn(title, error);
  } catch (const SystemError& error) {
    return fail(title, error.what(), error.code());
  } catch (const std::bad_alloc&) {
    return fail(title, "not enough memory", ExitCode::kIo);
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(title, error.path1().string() + ": " + error.code().message(), ExitCode::kIo);
  } catch (const std::exception& error) {
    return fail(title, std::string("a bug, please report it with the command line: ") + error.what(), ExitCode::kBug);
  }
}

}  // namespace hyperx

#include "sweep/process.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "common/errors.h"
#include "common/quoting.h"

extern char** environ;  // NOLINT: the C library's

namespace hyperx::sweep {
namespace {

// Pointers for exec*(), which end with a null.
std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> environment_of(const Program& program) {
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry, name = text.substr(0, text.find('='));
    bool changed = false;
    for (const auto& [key, value] : program.variables) changed = changed || key == name;
    if (!changed) variables.push_back(text);
  }
  for (const auto& [key, value] : program.variables)
    if (value) variables.push_back(key + "=" + *value);
  return variables;
}

cpu_set_t set_of(const std::vector<int>& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores) CPU_SET(static_cast<size_t>(core), &set);
  return set;
}

void unblock_all() {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Between fork and exec: only what a signal handler may call. Returns where a call failed; errno says why.
const char* set_up(pid_t parent, const cpu_set_t* cores, int log) {
  ::setpgid(0, 0);
  if (::prctl(PR_SET_PDEATHSIG, SIGTERM) != 0) return "prctl";
  if (::getppid() != parent) ::_exit(128 + SIGTERM);  // it was killed before that call
  if (cores != nullptr && ::sched_setaffinity(0, sizeof *cores, cores) != 0) return "sched_setaffinity";
  if (log >= 0 && (::dup2(log, STDOUT_FILENO) < 0 || ::dup2(log, STDERR_FILENO) < 0)) return "dup2";
  ::signal(SIGPIPE, SIG_DFL);
  unblock_all();
  return "exec";
}

// The error that the child sent before it ended; nothing: it runs the program.
void wait_for_start(int pipe, pid_t child, const std::string& name) {
  int cause = 0;
  ssize_t got = 0;
  while ((got = ::read(pipe, &cause, sizeof cause)) < 0 && errno == EINTR) {
  }
  ::close(pipe);
  if (got != sizeof cause) return;
  ::waitpid(child, nullptr, 0);
  errno = cause;
  throw SystemError(name + ": cannot be started: " + errno_text());
}

int open_log(const std::string& path) {
  if (path.empty()) return -1;
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0) throw SystemError(path + ": cannot be written to: " + errno_text(), ExitCode::kCannotCreate);
  return fd;
}

}  // namespace

pid_t start(const Program& program) {
  const std::vector<std::string> variables = environment_of(program);
  const std::vector<char*> words = pointers(program.words), environment = pointers(variables);
  const cpu_set_t cores = set_of(program.cores);
  const int log = open_log(program.log);
  const pid_t parent = ::getpid();
  int trouble[2];
  if (::pipe2(trouble, O_CLOEXEC) != 0) throw SystemError("pipe: " + errno_text());
  const pid_t child = ::fork();
  if (child == 0) {
    if (std::strcmp(set_up(parent, program.cores.empty() ? nullptr : &cores, log), "exec") == 0)
      ::execvpe(words[0], words.data(), environment.data());
    const int cause = errno;
    const ssize_t sent = ::write(trouble[1], &cause, sizeof cause);
    ::_exit(sent == sizeof cause ? 126 : 127);
  }
  const int cause = errno;
  ::close(trouble[1]);
  if (log >= 0) ::close(log);
  if (child < 0) {
    ::close(trouble[0]);
    errno = cause;
    throw SystemError("fork: " + errno_text());
  }
  wait_for_start(trouble[0], child, program.words[0]);
  return child;
}

void become(const std::vector<std::string>& words, bool keep_blocked) {
  if (!keep_blocked) unblock_all();
  ::signal(SIGXFSZ, SIG_DFL);
  ::execv(words[0].c_str(), pointers(words).data());
  throw SystemError(words[0] + ": cannot be started: " + errno_text());
}

Output output_of(const std::vector<std::string>& words) {
  std::string line = shell_line(words);
  FILE* const pipe = ::popen(line.c_str(), "re");
  if (pipe == nullptr) throw SystemError(words[0] + ": cannot be started: " + errno_text());
  Output output;
  char buffer[1 << 16];
  for (size_t got; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) output.text.append(buffer, got);
  output.code = code_of(::pclose(pipe));
  return output;
}

bool is_on_path(const std::string& name) {
  const char* const path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');)
    if (::access((folder + "/" + name).c_str(), X_OK) == 0) return true;
  return false;
}

int code_of(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

std::vector<int> cores_of_this_process() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cores;  // more cores than the set can hold: not shared out
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(static_cast<size_t>(core), &set)) cores.push_back(core);
  return cores;
}

std::vector<int> share_of(const std::vector<int>& cores, size_t slot, size_t slots) {
  if (cores.empty()) return {};
  if (cores.size() < slots) return {cores[slot % cores.size()]};
  const auto begin = cores.begin();
  return {begin + static_cast<ptrdiff_t>(slot * cores.size() / slots),
          begin + static_cast<ptrdiff_t>((slot + 1) * cores.size() / slots)};
}

}  // namespace hyperx::sweep

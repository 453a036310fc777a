#include "tests/system/job.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "common/files.h"

namespace hyperx::testing_system {
namespace {

constexpr std::chrono::microseconds kPoll{300};

// Processes whose parent is `parent`.
std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> children;
  const std::string process = std::to_string(parent);
  std::error_code gone;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + process + "/task", gone)) {
    std::ifstream list(task.path() / "children");
    for (pid_t child = 0; list >> child;) children.push_back(child);
  }
  return children;
}

void redirect(int stream, const std::string& path) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file < 0 || dup2(file, stream) < 0) _exit(126);
}

}  // namespace

Job::Job(int ranks, const Arguments& arguments, const std::string& folder, const std::string& program)
    : output_path_(folder + "/output"), error_path_(folder + "/errors") {
  // Ranks that lose their mpirun become children of the test, which can then wait for their end.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  Arguments command;
  if (ranks > 0) command = {HYPERX_MPIEXEC, "-np", std::to_string(ranks)};
  command.push_back(program);
  command.insert(command.end(), arguments.begin(), arguments.end());
  std::vector<char*> words;
  for (std::string& word : command) words.push_back(word.data());
  words.push_back(nullptr);
  process_ = fork();
  if (process_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    redirect(STDOUT_FILENO, output_path_);
    redirect(STDERR_FILENO, error_path_);
    execvp(words[0], words.data());
    _exit(127);
  }
}

Job::~Job() {
  if (!ended_) kill_all();
}

void Job::collect(int status) {
  ended_ = true;
  outcome_.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  outcome_.output = read_file(output_path_);
  outcome_.errors = read_file(error_path_);
  outcome_.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
}

bool Job::running() {
  int status = 0;
  if (!ended_ && waitpid(process_, &status, WNOHANG) == process_) collect(status);
  return !ended_;
}

std::vector<pid_t> Job::ranks() const { return children_of(process_); }

void Job::send(int signal) const { kill(process_, signal); }

void Job::kill_all() {
  if (!running()) return;
  kill(process_, SIGSTOP);  // mpirun must not start or end ranks meanwhile
  std::vector<pid_t> all = children_of(process_);
  for (size_t i = 0; i < all.size(); ++i)
    for (const pid_t child : children_of(all[i])) all.push_back(child);
  for (const pid_t each : all) kill(each, SIGKILL);
  kill(process_, SIGKILL);
  int status = 0;
  waitpid(process_, &status, 0);
  for (const pid_t each : all) waitpid(each, nullptr, 0);
  collect(status);
}

bool Job::wait_until(const std::function<bool()>& done) {
  const auto end = Clock::now() + kPatience;
  while (!done()) {
    if (!running()) return false;
    if (Clock::now() > end) {
      ADD_FAILURE() << "waited " << kPatience.count() << " s in vain";
      kill_all();
      return false;
    }
    std::this_thread::sleep_for(kPoll);
  }
  return true;
}

Outcome Job::wait() {
  wait_until([] { return false; });
  return outcome_;
}

}  // namespace hyperx::testing_system

#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace hyperx::testing_system {

using Arguments = std::vector<std::string>;
using Clock = std::chrono::steady_clock;

struct Outcome {
  int code = -1;  // exit code; -signal
  std::string output, errors;
  double seconds = 0;
};

// One command of the real program that runs beside the test, under the real mpirun or alone. Never outlives the test.
class Job {
 public:
  // `ranks` 0: without mpirun. Standard output and error go to files of `folder`.
  Job(int ranks, const Arguments& arguments, const std::string& folder, const std::string& program = HYPERX_PROGRAM);
  ~Job();
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  bool running();
  pid_t launcher() const { return process_; }  // mpirun, or the program itself
  std::vector<pid_t> ranks() const;            // processes that mpirun has started
  void send(int signal) const;                 // to the launcher
  // Ends launcher and ranks with SIGKILL, as a machine's failure would, and waits until none of them is left.
  void kill_all();
  // Waits until `done` or until the job ends; false: it ended first.
  bool wait_until(const std::function<bool()>& done);
  Outcome wait();  // fails the test and kills the job after kPatience

  static constexpr std::chrono::seconds kPatience{180};

 private:
  void collect(int status);
  pid_t process_ = -1;
  bool ended_ = false;
  Clock::time_point start_ = Clock::now();
  std::string output_path_, error_path_;
  Outcome outcome_;
};

}  // namespace hyperx::testing_system

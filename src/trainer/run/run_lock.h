#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "common/clock.h"
#include "common/errors.h"
#include "trainer/run/process_id.h"
#include "trainer/run/run_dir.h"

namespace hyperx::train {

struct LockTiming {
  std::chrono::milliseconds touch{5'000};     // the owner touches its lock this often
  std::chrono::milliseconds silent{120'000};  // after this long without a touch, the owner counts as ended
  std::chrono::milliseconds tell{15'000};     // a waiting start says so this often
};

// Another process has taken over the run folder (exit code 73): this one must not write to it any more.
class LostLock : public SystemError {
 public:
  explicit LostLock(const std::string& message) : SystemError(message, ExitCode::kCannotCreate) {}
};

// Keeps a second process out of a run folder, and lets a requeued job in without manual help.
//
// The file RUN/lock names its owner: process, SLURM job, restart count and a random token. A thread of the owner
// touches the file every `touch`, whatever the main thread is doing (a long step, an evaluation, a checkpoint), until
// the process ends. On a network file system the server sees the new time at once.
//
// The owner also holds the run folder by flock(), where the file system has it for folders. The kernel gives it up with
// the last process that has it, whatever happens to the file.
//
// A start that finds a lock applies the first of these rules that fits:
//   0. the folder is held, and the lock names no process of another machine: running;
//   1. the owner's process is visible (same host, boot and PID namespace): it looks whether the process runs;
//   2. the owner is an earlier start of the same SLURM job (lower SLURM_RESTART_COUNT): ended;
//   3. it watches the lock and rank 0's file in ranks/, which hyperx 0.1.0 wrote too. Written three times: running.
//      Not written for `silent`: ended. Clocks are not compared. Only this rule applies to a damaged lock.
// Running: UserError (73). Ended: it takes over the lock, with a warning.
//
// An owner that was suspended for longer than `silent` may have lost its lock when it resumes. It therefore calls
// check() before it writes to the run folder.
class RunLock {
 public:
  // UserError (73): another process runs here, the file cannot be created, or its name is taken by a folder, link or
  // pipe; (75): stop() became true while it waited for the other's sign of life.
  // `refusal`: what the message says about the other process.
  explicit RunLock(
      const RunDir& run, LockTiming timing = {}, const std::function<bool()>& stop = [] { return false; },
      std::string refusal = "is running in this folder. Wait for it, stop it, or name another --run.dir");
  ~RunLock();  // removes the file if it is still ours
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  // LostLock: the file names another process. Cheap enough for every step: it reads the file about once per second. Any
  // thread may call it.
  void check() const;
  const std::string& token() const { return owner_.token; }
  // The process that took over the lock from the one with this token; none: nobody did, or it cannot be determined now.
  static std::optional<ProcessId> other_owner(const std::string& lock, const std::string& token);

  // The content of the file.
  struct Owner {
    ProcessId process;
    std::string job;       // SLURM_JOB_ID; empty: none
    int64_t restarts = 0;  // SLURM_RESTART_COUNT
    std::string token;     // empty: being written, damaged, or from hyperx 0.1.0

    static Owner self();
    bool replaces(const Owner& earlier) const;      // rule 2
    nlohmann::json to_json() const;                 // with a digest
    static Owner from_json(nlohmann::json object);  // missing fields stay empty; all of them if it is damaged
  };

 private:
  struct Sight;
  static std::optional<Sight> look(const std::string& path);
  bool is_ours() const;
  bool make();
  void hold_folder();
  bool has_ended(const Sight& found, const std::function<bool()>& stop) const;
  bool falls_silent(const Sight& found, const std::function<bool()>& stop) const;
  void clear_away(const Sight& ended) const;
  [[noreturn]] void refuse(const Owner& owner) const;
  void touch_until(const std::stop_token& stop) const;

  const std::string path_;
  const LockTiming timing_;
  const std::string refusal_;
  const Owner owner_;
  int folder_ = -1, fd_ = -1;                        // of the run folder, held by flock(); of the file
  mutable std::mutex mutex_;                         // guards the next line
  mutable std::optional<Clock::time_point> looked_;  // when check() last found our own name
  std::jthread thread_;                              // last: it uses all of the above
};

}  // namespace hyperx::train

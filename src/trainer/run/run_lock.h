#pragma once

#include <chrono>
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
  std::chrono::milliseconds silent{120'000};  // an owner that has not touched it for this long has ended
  std::chrono::milliseconds tell{15'000};     // a start that waits says so this often
};

// Another process has taken over the run folder (exit code 73): nothing may be written to it any more.
class LostLock : public SystemError {
 public:
  explicit LostLock(const std::string& message) : SystemError(message, ExitCode::kCannotCreate) {}
};

// Keeps a second process out of a run folder, and lets a requeued job in without a person's help.
//
// The file RUN/lock names its owner: process, SLURM job, restart count and a random token. A thread of the owner
// touches the file every `touch`, whatever the main thread is doing (a long step, an evaluation, a checkpoint), until
// the process ends. Over a network file system the server sees the new time at once.
//
// A start that finds a lock decides by the first rule that applies:
//   1. it can see the owner's process (same host, boot and PID namespace): running or ended, by looking;
//   2. the owner is an earlier start of the same SLURM job (lower SLURM_RESTART_COUNT): ended;
//   3. it watches the lock and rank 0's file in ranks/, which hyperx 0.1.0 wrote too: written three times: running; not
//      for `silent`: ended. Clocks are not compared. A damaged lock is judged by this rule only.
// Running: UserError (73). Ended: it takes over the lock, with a warning.
//
// An owner that was stopped for longer than `silent` may lose its lock and wake up. Therefore it calls check() before
// it writes to the run folder.
class RunLock {
 public:
  // UserError (73): another process runs here, the file cannot be made, or its name is taken by a folder, link or pipe.
  explicit RunLock(const RunDir& run, LockTiming timing = {});
  ~RunLock();  // removes the file if it is still ours
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  // LostLock: the file names another process. Cheap enough for every step: it looks at the file about once a second.
  // Any thread may call it.
  void check() const;
  const std::string& token() const { return owner_.token; }
  // Who has taken over the lock of the process with this token; nothing: nobody has, or it cannot be told now.
  static std::optional<ProcessId> other_owner(const std::string& lock, const std::string& token);

  // What the file says.
  struct Owner {
    ProcessId process;
    std::string job;       // SLURM_JOB_ID; empty: none
    int64_t restarts = 0;  // SLURM_RESTART_COUNT
    std::string token;     // empty: being written, damaged, or of hyperx 0.1.0

    static Owner self();
    bool replaces(const Owner& earlier) const;      // rule 2
    nlohmann::json to_json() const;                 // with a digest
    static Owner from_json(nlohmann::json object);  // missing fields stay empty; all of them where it is damaged
  };

 private:
  struct Sight;
  static std::optional<Sight> look(const std::string& path);
  bool is_ours() const;
  bool make();
  bool has_ended(const Sight& found) const;
  bool falls_silent(const Sight& found) const;
  void clear_away(const Sight& ended) const;
  [[noreturn]] void refuse(const Owner& owner) const;
  void touch_until(const std::stop_token& stop) const;

  const std::string path_;
  const LockTiming timing_;
  const Owner owner_;
  int fd_ = -1;
  mutable std::mutex mutex_;                         // of the next line
  mutable std::optional<Clock::time_point> looked_;  // check() found our own name then
  std::jthread thread_;                              // last: it uses all of the above
};

}  // namespace hyperx::train

#pragma once

#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "trainer/checkpoint/checkpoint.h"
#include "trainer/run/run_lock.h"

namespace hyperx::train {

struct CheckpointWriterOptions {
  std::string folder;    // RUN/checkpoints
  int keep_last = 2;     // newest ones that stay, at least 1
  int keep_best = 1;     // best-scored ones that stay besides, without their optimizer
  int copy_threads = 1;  // that copy the state while training waits
  // Memory for the copy that the thread gets while training begins, as its first touch takes several times the copy's
  // time; what is larger is got when it is submitted.
  int64_t reserved_bytes = 0;
  const RunLock* lock = nullptr;  // of the run: nothing is saved any more once another process has it
};

// What submit() cost the training loop.
struct CheckpointPause {
  double seconds = 0;         // all of it
  double waited_seconds = 0;  // of these: for the previous checkpoint, still being written
  int64_t bytes = 0;          // copied
};

// Saves checkpoints by one background thread; used by the one rank that writes. A failed save (a full disk) does not
// end the training: its folder is removed, a warning is logged, failure() tells, and what was saved before stays as it
// was.
class CheckpointWriter {
 public:
  // Makes the folder and removes step-N.tmp folders that a killed process left.
  explicit CheckpointWriter(CheckpointWriterOptions options);
  ~CheckpointWriter();  // waits for what is being written
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // Copies the content and returns; one checkpoint is in the making at most, so that memory is bounded by one copy.
  CheckpointPause submit(const CheckpointContent& content);
  void wait();  // until nothing is being written

  // Why the last finished save failed; nullopt when it did not. After wait() it speaks of the last submit().
  std::optional<std::string> failure() const;
  int failures() const;                       // since the start
  std::optional<int64_t> last_saved() const;  // step
  double last_write_seconds() const;          // of the last successful save, until it is committed

 private:
  struct Job;
  void reserve();
  void run();
  void save(const Job& job);
  void check_lock() const;
  void tidy_up(const Job& job);  // `latest`, `best`, and the checkpoints no longer kept

  const CheckpointWriterOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<Job> job_;  // submitted or being written
  bool stopping_ = false, reserving_ = false;
  std::optional<std::string> failure_;
  int failures_ = 0;
  std::optional<int64_t> last_saved_;
  double last_write_seconds_ = 0;
  std::unique_ptr<char[]> buffer_;  // the copy; kept, as the next one needs as much
  int64_t buffer_bytes_ = 0;
  std::thread thread_;  // last: it uses all of the above
};

// Deletes checkpoints beyond the newest `keep_last` and the `keep_best` best scored; never what `latest` or `best`
// names. A best one that is not among the newest loses its optimizer. Gives the names of the deleted.
std::vector<std::string> prune_checkpoints(const std::string& folder, int keep_last, int keep_best);

}  // namespace hyperx::train

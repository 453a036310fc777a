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
  int keep_last = 2;     // newest checkpoints to keep, at least 1
  int keep_best = 1;     // best-scored checkpoints to keep in addition, without their optimizer
  int copy_threads = 1;  // threads that copy the state while training waits
  // Memory for the copy, which the writer's thread allocates while training begins, because its first touch takes
  // several times as long as the copy. A larger copy gets its memory when it is submitted.
  int64_t reserved_bytes = 0;
  const RunLock* lock = nullptr;  // of the run: nothing is saved once another process holds it
};

// The time for which submit() stopped the training loop.
struct CheckpointPause {
  double seconds = 0;         // total
  double waited_seconds = 0;  // of these: waiting for the previous checkpoint to be written
  int64_t bytes = 0;          // copied
};

// Saves checkpoints in one background thread; used only by the rank that writes. A failed save (a full disk) does not
// end the training: its folder is removed, a warning is logged, failure() returns the reason, and earlier checkpoints
// stay unchanged.
class CheckpointWriter {
 public:
  // Creates the folder and removes step-N.tmp folders that a killed process left.
  explicit CheckpointWriter(CheckpointWriterOptions options);
  ~CheckpointWriter();  // waits for the checkpoint being written
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // Copies the content and returns. At most one checkpoint is in progress, so memory is bounded by one copy.
  CheckpointPause submit(const CheckpointContent& content);
  void wait();  // until no checkpoint is being written
  // After wait(), when no more will be written: deletes the checkpoints beyond keep_last and keep_best.
  void prune();

  // Why the last finished save failed; nullopt if it succeeded. After wait(), this is the last submit().
  std::optional<std::string> failure() const;
  int failures() const;                       // since the start
  std::optional<int64_t> last_saved() const;  // step
  double last_write_seconds() const;          // duration of the last successful save, up to its commit

 private:
  struct Job;
  void reserve();
  void run();
  void save(const Job& job);
  void check_lock() const;
  // Updates `latest` and `best`, and deletes the checkpoints no longer kept. A failure is a warning.
  void tidy_up(int64_t good_before) const;

  const CheckpointWriterOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<Job> job_;  // submitted or being written
  bool stopping_ = false, reserving_ = false;
  std::optional<std::string> failure_;
  int failures_ = 0;
  std::optional<int64_t> last_saved_;
  double last_write_seconds_ = 0;
  std::unique_ptr<char[]> buffer_;  // the copy; kept, because the next one needs as much
  int64_t buffer_bytes_ = 0;
  std::thread thread_;  // last: it uses all of the above
};

// Writes into `latest` the name of the newest checkpoint and, with keep_best > 0, into `best` that of the best-scored
// one, as the checkpoints record it.
void name_checkpoints(const std::string& folder, int keep_best);

// Deletes checkpoints except the newest `keep_last`, the `keep_best` best-scored, those that `latest` and `best` name,
// and the newest of a step below `good_before` (CheckpointContent). A best one that is not among the newest loses its
// optimizer. Returns the names of the deleted, newest first.
std::vector<std::string> prune_checkpoints(const std::string& folder, int keep_last, int keep_best,
                                           int64_t good_before = 0);

}  // namespace hyperx::train

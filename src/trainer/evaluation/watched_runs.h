#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "trainer/run/run_lock.h"

namespace hyperx::train {

// The runs that `evaluate --watch` follows: one run, or all runs within a folder, also those that begin later. It only
// reads what the runs write, so it neither delays nor breaks a training. For rank 0.
class WatchedRuns {
 public:
  struct Options {
    double patience_seconds = 600;  // without a sign of life a run that is not finished counts as ended
    LockTiming timing = {};
  };
  // UserError: 66 no such folder; 73 another process watches one of these runs already (the message names it).
  WatchedRuns(const std::string& run_or_folder, Options options);
  WatchedRuns(const WatchedRuns&) = delete;
  WatchedRuns& operator=(const WatchedRuns&) = delete;

  // The checkpoints that were not returned before, by run and step. Throws as the constructor (a run that began since
  // then may be watched elsewhere).
  std::vector<std::string> new_checkpoints();
  // Every run is finished, or has given no sign of life for `patience`; also if no run appeared for so long.
  bool over() const;

  struct Counts {
    int64_t runs = 0, finished = 0, active = 0, silent = 0;  // silent: not finished, no sign of life
    int64_t checkpoints = 0;                                 // seen
    int64_t pruned = 0;  // saved according to metrics.jsonl, but gone before they were seen
  };
  Counts counts() const;

 private:
  void look_for_runs();
  void require_unwatched(const std::string& folder) const;

  const std::string root_;
  const Options options_;
  const Clock::time_point start_ = Clock::now();
  std::unique_ptr<RunLock> lock_;  // of root_
  std::vector<std::string> runs_;
  std::set<std::string> known_runs_, seen_;  // run folders; checkpoint folders
};

// The run folders in `folder`, which may be a run itself, in the order of their names; runs within runs are not looked
// for. Links are followed once.
std::vector<std::string> find_runs(const std::string& folder);

}  // namespace hyperx::train

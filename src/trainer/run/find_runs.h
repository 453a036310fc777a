#pragma once

#include <string>
#include <utility>
#include <vector>

namespace hyperx::train {

// Whether a folder holds a run, if only a part of one: it has a state, metrics, checkpoints or a lock.
bool is_run_folder(const std::string& path);

struct FoundRuns {
  std::vector<std::string> runs;                                // in the order named, those of a folder sorted
  std::vector<std::pair<std::string, std::string>> unreadable;  // folders that cannot be listed, and why
};

// The runs that `paths` name: run folders, and folders in which they lie at any depth. A run is not searched for runs
// within it, nor are names that begin with a dot. A link counts if it leads to a run; other links are not followed. A
// run found twice is listed once. UserError: 64 no path; 66 no such folder, or no run in it.
FoundRuns find_runs(const std::vector<std::string>& paths);

}  // namespace hyperx::train

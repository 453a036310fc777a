#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "data/tasks/result_file.h"

// The result files of runs, as `evaluate` writes them.
namespace hyperx::report {

// One result file. Scores by tag are left out, which are most of its size.
struct ResultFile {
  data::EvaluationResult result;
  std::string path;

  std::string predictions_path() const;  // next to it; may not exist
};

// A run folder with the results of one step and split.
struct Run {
  std::string path;
  bool has_config = false;                      // it has a config.conf that can be read
  std::map<std::string, std::string> settings;  // those that a result depends on, by key; without the seed
  uint64_t seed = 0;
  std::string method;
  std::optional<std::set<std::string>> read_by_encoder;  // codes of languages; nullopt: unknown
  int64_t step = 0;
  std::vector<int64_t> other_steps;  // with results of the split that are not used
  std::vector<ResultFile> results;   // in the order of their names

  std::string name() const;  // the last part of its path
  std::string trained_pairs() const;
  std::string results_folder(const std::string& split) const;
};

// Files that could not be used, and why.
struct Problem {
  std::string path, what;
};
std::string text_of(const Problem& problem);  // "PATH: WHAT", with the path once

struct ReadOptions {
  std::string split = "test";
  int64_t step = -1;  // -1: that of the best checkpoint if it has results, else the last one that has
};

// The run folders that the user names: a run, a folder with runs in it (at any depth up to kDeepestRun), or a pattern
// with * ? [ ] of either. Sorted, each once. UserError 66: nothing of that name, or no run in it.
std::vector<std::string> find_runs(const std::string& name);
inline constexpr int kDeepestRun = 6;

// Reads the results of a run. Files that are damaged, or foreign, become problems; so does a run without results.
Run read_run(const std::string& path, const ReadOptions& options, std::vector<Problem>& problems);

}  // namespace hyperx::report

#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "report/run_results.h"

// What is compared: systems, each trained with one or several seeds, and perhaps on several parts of the pairs.
namespace hyperx::report {

// A column of the tables.
struct System {
  std::string label;
  std::vector<size_t> runs;  // indices into Selection::runs
};

struct Selection {
  std::vector<Run> runs;
  std::vector<System> systems;
  std::vector<Problem> problems;
  std::vector<std::string> notes;  // what a reader must know, as sentences

  // Keys whose values differ between the runs.
  std::vector<std::string> differing_settings() const;
};

// Each object is [LABEL=]NAME[,NAME...], where NAME is as in find_runs().
//   With a label, or several names: the runs are one system. They may differ in train.seed and in train.pairs (the
//   partitions of a cross-validation over pairs). UserError (64) naming key, values and runs: any other difference.
//   Otherwise the runs found are sorted into systems, one for each configuration up to train.seed.
// An object that is a path as a whole is one, whatever characters it has.
// Two runs of one system with the same seed and pairs would count twice: the second is left out, with a note.
// UserError: 66 as find_runs(); 65 where no result file at all could be read, naming the first problem; 64 a label that
// is given twice.
Selection select_systems(const std::vector<std::string>& objects, const ReadOptions& options);

}  // namespace hyperx::report

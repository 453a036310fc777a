#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sweep/plan.h"

// What remains to be done for a row, as command lines of this program.
namespace hyperx::sweep {

enum class Only { kAll, kTrain, kEvaluate };

struct Stage {
  const Evaluation* evaluation = nullptr;  // of the plan; nullptr: the training
  std::string name() const;                // "train", "evaluate test"
};

// How the ranks of a row are started: by this process's launcher, or by launch/run, or there is one.
struct Ranks {
  int count = 1;                   // above 1: launch/run -n COUNT
  bool launched = false;           // this process is one of several that mpirun or srun started
  bool share_machine = false;      // with those of other rows
  static Ranks of(int64_t asked);  // UserError (64): --ranks under a launcher
};

// In order; empty: all is done. UserError (66): only the evaluation is asked for, and the row is not trained.
std::vector<Stage> stages_left(const Plan& plan, int64_t row, Only only);
// UserError (66): launch/run is needed and not found.
std::vector<std::string> command_of(const Plan& plan, int64_t row, const Stage& stage, const Ranks& ranks);

std::string this_program();  // its path
// Path of a script of this installation, such as "launch/run"; empty: it has none.
std::string find_script(const std::string& name);

}  // namespace hyperx::sweep

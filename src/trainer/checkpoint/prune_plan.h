#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "trainer/run/run_dir.h"

// For `hyperx prune`: which checkpoints of a run that does not run are removed, and which stay and why.
namespace hyperx::train {

struct PruneRules {
  int keep_last = 2;       // newest checkpoints with an optimizer that stay, at least 1
  int keep_best = 1;       // best-scored checkpoints that stay
  bool scored = false;     // also remove checkpoints that have result files; these stay
  bool optimizer = false;  // of a finished run: also remove the optimizers of the checkpoints that stay
  bool set_aside = false;  // also remove what was set aside: *.damaged, *.diverged, *.before
};

struct PruneEntry {
  std::string path;
  int64_t bytes = 0;                 // of all its files
  std::vector<std::string> reasons;  // why it stays; empty: it goes
  int64_t optimizer_bytes = 0;       // of its optimizer, which is removed; 0: it is kept, or there is none
  std::string what;                  // of what goes and is no checkpoint: "unfinished", "set aside"
  bool goes() const { return reasons.empty(); }
};

struct PrunePlan {
  std::string run, state;  // state as observed
  std::string untouched;   // why nothing of the run is touched; empty: it can be
  std::vector<PruneEntry> entries;
  std::string resume_point;  // the checkpoint that `--resume auto` needs whole; empty: nothing is removed

  int64_t bytes_removed() const;
  bool removes_anything() const;
};

// Who names a checkpoint: its folder (canonical), and the runs that start from it or are built on it.
using CheckpointUses = std::map<std::string, std::vector<std::string>>;

// Changes nothing. Never throws for what it finds in the run: the plan then says why the run is left untouched.
PrunePlan plan_prune(const RunDir& run, const PruneRules& rules, const CheckpointUses& uses);

// Carries out the plan, made again under the run's lock; removes only what `plan` removes, too. Each checkpoint is
// renamed before it is deleted, so that an interruption leaves it whole or not at all; the lock is held until all are
// renamed, not until they are deleted. Reads the resume point completely before. UserError: 73 the run is running; 65
// its resume point is damaged (nothing is removed). SystemError (74). Returns the bytes removed.
int64_t carry_out(const PrunePlan& plan, const PruneRules& rules, const CheckpointUses& uses);

}  // namespace hyperx::train

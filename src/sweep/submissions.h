#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sweep/plan.h"

namespace hyperx::sweep {

// One job that was handed to SLURM, or was about to be: an array, or where the site has none, the job of one row.
struct Submission {
  std::string time;    // UTC
  std::string token;   // the job's comment, by which a submission whose job is not recorded is found again
  std::string job;     // number of the array; empty: not known, because `sweep submit` was killed in between
  int64_t offset = 0;  // row of the sweep = index in the array + offset
  std::vector<int64_t> rows;

  // "12_3", as squeue names the element of the array.
  std::string task(int64_t row) const { return job + "_" + std::to_string(row - offset); }
};

// SWEEP/submissions.tsv, which only grows: a line before sbatch is called, and one with the job's number after it.
class Submissions {
 public:
  // UserError (65), naming file and line: not such a file. Empty if there is none.
  static Submissions read(const Plan& plan);

  const std::vector<Submission>& all() const { return all_; }
  const Submission* last_of(int64_t row) const;  // nullptr: never submitted
  // Appends a line and syncs it. SystemError (74).
  void write(const Submission& submission);

 private:
  void take(Submission submission);

  std::string path_;
  std::vector<Submission> all_;
  std::map<int64_t, size_t> last_;  // index in all_, by row
};

}  // namespace hyperx::sweep

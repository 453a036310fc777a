#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

// What SLURM's own programs say. All of them throw UserError (74) with the program's message if it fails.
namespace hyperx::sweep {

// The user's jobs that wait or run.
struct Queue {
  std::map<std::string, std::string> states;  // "12_3" → "RUNNING"; of a job that is no array: "12"
  // Numbers of the jobs, ascending, by the comment that sbatch was given.
  std::map<std::string, std::vector<std::string>> jobs_of_comment;
};

bool has_slurm();         // its programs are on PATH
Queue read_queue();       // squeue
int64_t largest_array();  // MaxArraySize: an index is less than this
// Most jobs that the user may have in the queue: max_submit of the site.conf that `script` reads, else what accounting
// knows; none: no limit is known.
std::optional<int64_t> most_jobs(const std::string& script);
// How tasks of arrays ended, such as TIMEOUT or NODE_FAIL, by "12_3"; empty if the cluster keeps no accounts.
std::map<std::string, std::string> ended_states(const std::vector<std::string>& jobs);

}  // namespace hyperx::sweep

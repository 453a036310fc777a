#include "sweep/slurm.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "common/config/make_option.h"
#include "common/errors.h"
#include "common/quoting.h"
#include "common/read_error.h"
#include "sweep/process.h"

namespace hyperx::sweep {
namespace {

std::string ask(const std::vector<std::string>& words) {
  const Output output = output_of(words);
  if (output.code != 0)
    throw UserError(ExitCode::kIo, "`" + shell_line(words) + "` failed with code " + std::to_string(output.code) +
                                       " (its message stands above): without its answer, rows could be submitted "
                                       "twice. Try again when SLURM answers");
  return output.text;
}

std::vector<std::string> cells_of(const std::string& line, char separator) {
  std::vector<std::string> cells;
  std::istringstream text(line);
  for (std::string cell; std::getline(text, cell, separator);) cells.push_back(cell);
  return cells;
}

// What cluster/submit itself would read. A site.conf that is wrong is its business to report.
std::optional<int64_t> site_limit(const std::string& script) {
  const std::string common = std::filesystem::path(script).parent_path().string() + "/common.sh";
  if (kind_of(common) != PathKind::kFile) return std::nullopt;
  const Output output =
      output_of({"bash", "-c", "source \"$0\" && load_site >/dev/null 2>&1 && echo \"$max_submit\"", common});
  const int64_t limit = std::atoll(output.text.c_str());
  return output.code == 0 && limit > 0 ? std::optional(limit) : std::nullopt;
}

}  // namespace

bool has_slurm() { return is_on_path("squeue") && is_on_path("scontrol"); }

Queue read_queue() {
  Queue queue;
  std::istringstream lines(ask({"squeue", "--me", "--noheader", "--array", "--format=%F|%K|%T|%k"}));
  for (std::string line; std::getline(lines, line);) {
    std::vector<std::string> cells = cells_of(line, '|');
    cells.resize(4);
    const bool is_task = cells[1].find_first_not_of("0123456789") == std::string::npos && !cells[1].empty();
    queue.states[is_task ? cells[0] + "_" + cells[1] : cells[0]] = cells[2];
    queue.jobs_of_comment[cells[3]].push_back(cells[0]);
  }
  for (auto& [comment, jobs] : queue.jobs_of_comment) {
    std::sort(jobs.begin(), jobs.end(), [](const std::string& a, const std::string& b) {
      return a.size() != b.size() ? a.size() < b.size() : a < b;  // as numbers
    });
    jobs.erase(std::unique(jobs.begin(), jobs.end()), jobs.end());
  }
  return queue;
}

int64_t largest_array() {
  std::istringstream lines(ask({"scontrol", "show", "config"}));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("MaxArraySize")) continue;
    const int64_t size = std::atoll(line.substr(line.find('=') + 1).c_str());
    if (size < 2)
      throw UserError(ExitCode::kBadConfig, "MaxArraySize of this SLURM is " + std::to_string(size) +
                                                ": it takes no job arrays. `sweep run --rows` packs rows "
                                                "into an ordinary job");
    return size;
  }
  return 1001;  // SLURM's default
}

std::optional<int64_t> most_jobs(const std::string& script) {
  if (const auto limit = site_limit(script)) return limit;
  if (!is_on_path("sacctmgr")) return std::nullopt;
  const char* const user = std::getenv("USER");
  const std::string of = user == nullptr ? "" : user;
  const Output output = output_of({"sh", "-c",
                                   "sacctmgr --noheader --parsable2 --immediate show associations user=\"$0\" "
                                   "format=MaxSubmitJobs 2>/dev/null",
                                   of});
  if (output.code != 0) return std::nullopt;  // no accounting
  std::optional<int64_t> least;
  std::istringstream lines(output.text);
  for (std::string line; std::getline(lines, line);)
    if (const int64_t limit = std::atoll(line.c_str()); limit > 0) least = std::min(limit, least.value_or(limit));
  return least;
}

std::map<std::string, std::string> ended_states(const std::vector<std::string>& jobs) {
  std::map<std::string, std::string> states;
  if (jobs.empty() || !is_on_path("sacct")) return states;
  std::string list;
  for (const std::string& job : jobs) list += (list.empty() ? "" : ",") + job;
  const Output output = output_of(
      {"sh", "-c", "sacct --noheader --parsable2 --allocations --jobs=\"$0\" --format=JobID,State 2>/dev/null", list});
  if (output.code != 0) return states;
  std::istringstream lines(output.text);
  for (std::string line; std::getline(lines, line);) {
    const std::vector<std::string> cells = cells_of(line, '|');
    if (cells.size() == 2) states[cells[0]] = cells[1];
  }
  return states;
}

}  // namespace hyperx::sweep

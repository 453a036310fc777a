#include "trainer/evaluation/watched_runs.h"

#include <algorithm>
#include <filesystem>

#include "common/errors.h"
#include "common/files.h"
#include "common/json.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/checkpoint_list.h"
#include "trainer/run/find_runs.h"
#include "trainer/run/run_state.h"

namespace hyperx::train {
namespace {

namespace fs = std::filesystem;

// None where there is no run yet.
std::vector<std::string> runs_in(const std::string& folder) {
  try {
    return find_runs({folder}).runs;
  } catch (const UserError&) {
    return {};
  }
}

std::vector<std::string> checkpoints_of(const std::string& run) {
  const std::string folder = RunDir{run}.checkpoints();
  std::vector<std::string> folders;
  for (const int64_t step : steps_in(folder)) folders.push_back(folder + "/" + checkpoint_name(step));
  std::reverse(folders.begin(), folders.end());  // the oldest first
  return folders;
}

enum class Life { kFinished, kActive, kSilent };

Life life_of(const std::string& run, double patience_seconds) {
  const RunDir folder{run};
  try {
    const RunState state = read_run_state(folder);
    if (state.state == "finished") return Life::kFinished;
    const double silent = silent_seconds(folder, state);
    const bool alive =
        state.process.in_sight() && (state.state == "running" || state.state == "queued") && state.process.alive();
    return alive || (silent >= 0 && silent < patience_seconds) ? Life::kActive : Life::kSilent;
  } catch (const UserError&) {  // damaged, or it cannot be read now
    return Life::kSilent;
  }
}

// The steps of the checkpoints that the run says it has saved.
std::set<int64_t> saved_steps(const std::string& run) {
  std::set<int64_t> steps;
  std::string text;
  try {
    text = read_file(RunDir{run}.metrics());
  } catch (const UserError&) {
    return steps;
  }
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view line = std::string_view(text).substr(start, end - start);
    start = end + 1;
    if (line.find("\"checkpoint\"") == std::string_view::npos) continue;  // most lines are of steps
    const nlohmann::json object = parse_json_or_discard(line);
    if (object.is_object() && object.value("event", "") == "checkpoint" && object.contains("step") &&
        object["step"].is_number_integer())
      steps.insert(object["step"].get<int64_t>());
  }
  return steps;
}

std::string watch_folder(const std::string& root) { return root + "/.watch"; }  // no run, for find_runs()

}  // namespace

WatchedRuns::WatchedRuns(const std::string& run_or_folder, Options options)
    : root_(without_slashes(run_or_folder)), options_(options) {
  if (!fs::is_directory(root_))
    throw UserError(ExitCode::kNoInput, root_ + ": no such run or folder of runs; --watch wants one");
  if (step_of_name(fs::path(root_).filename().string()))
    throw UserError(ExitCode::kUsage, root_ + ": is a checkpoint; --watch wants its run, or a folder of runs");
  make_folders(watch_folder(root_));
  lock_ = std::make_unique<RunLock>(
      RunDir{watch_folder(root_)}, options_.timing, [] { return false; },
      "watches these runs already. Wait for it, or stop it");
  const fs::path parent = fs::absolute(root_).parent_path();
  for (fs::path folder = parent; folder != folder.root_path(); folder = folder.parent_path())
    require_unwatched(folder.string());
  look_for_runs();
}

// A lock of another watcher that lives makes this throw; one that a dead watcher left is taken over and removed.
void WatchedRuns::require_unwatched(const std::string& folder) const {
  const RunDir watch{watch_folder(folder)};
  if (!fs::exists(watch.lock())) return;
  const RunLock probe(
      watch, options_.timing, [] { return false; }, "watches these runs already. Wait for it, or stop it");
}

void WatchedRuns::look_for_runs() {
  for (const std::string& run : runs_in(root_)) {
    if (!known_runs_.insert(run).second) continue;
    if (run != root_) require_unwatched(run);
    runs_.push_back(run);
  }
}

std::vector<std::string> WatchedRuns::new_checkpoints() {
  look_for_runs();
  std::vector<std::string> found;
  for (const std::string& run : runs_)
    for (std::string& checkpoint : checkpoints_of(run))
      if (seen_.insert(checkpoint).second) found.push_back(std::move(checkpoint));
  return found;
}

bool WatchedRuns::over() const {
  if (runs_.empty()) return seconds_since(start_) >= options_.patience_seconds;
  return std::all_of(runs_.begin(), runs_.end(),
                     [&](const std::string& run) { return life_of(run, options_.patience_seconds) != Life::kActive; });
}

WatchedRuns::Counts WatchedRuns::counts() const {
  Counts counts;
  counts.runs = std::ssize(runs_);
  counts.checkpoints = std::ssize(seen_);
  for (const std::string& run : runs_) {
    const Life life = life_of(run, options_.patience_seconds);
    counts.finished += life == Life::kFinished ? 1 : 0;
    counts.active += life == Life::kActive ? 1 : 0;
    counts.silent += life == Life::kSilent ? 1 : 0;
    for (const int64_t step : saved_steps(run)) {
      const std::string folder = RunDir{run}.checkpoints() + "/" + checkpoint_name(step);
      const std::string results = fs::path(RunDir{run}.results(step, "test")).parent_path().string();
      if (!seen_.contains(folder) && !fs::exists(folder) && !fs::exists(results)) counts.pruned += 1;
    }
  }
  return counts;
}

}  // namespace hyperx::train

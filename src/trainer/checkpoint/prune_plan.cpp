#include "trainer/checkpoint/prune_plan.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>

#include "common/errors.h"
#include "common/files.h"
#include "common/log.h"
#include "common/read_error.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/checkpoint_list.h"
#include "trainer/checkpoint/checkpoint_writer.h"
#include "trainer/run/metrics_file.h"
#include "trainer/run/run_lock.h"
#include "trainer/run/run_state.h"

namespace hyperx::train {

namespace {

namespace fs = std::filesystem;

int64_t bytes_of(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(fs::symlink_status(path, error))) {
    const auto size = fs::file_size(path, error);
    return error ? 0 : static_cast<int64_t>(size);
  }
  int64_t bytes = 0;
  for (fs::recursive_directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code gone;
    const bool file = entry->is_regular_file(gone);
    const auto size = file ? entry->file_size(gone) : 0;
    if (!gone) bytes += static_cast<int64_t>(size);
  }
  return bytes;
}

bool is_scored(const RunDir& run, int64_t step) {
  std::error_code unknown;
  const fs::path folder = fs::path(run.results(step, "")).parent_path();
  return fs::is_directory(folder, unknown) && !fs::is_empty(folder, unknown);
}

// Whether NAME is PATH.WORD or PATH.WORD-2, ... of set_aside(), with a word that this program uses.
bool is_set_aside(const std::string& name) {
  for (const std::string word : {".damaged", ".diverged", ".before"}) {
    const size_t at = name.rfind(word);
    if (at == std::string::npos || at == 0) continue;
    const std::string rest = name.substr(at + word.size());
    if (rest.empty() ||
        (rest[0] == '-' && rest.size() > 1 && rest.find_first_not_of("0123456789", 1) == std::string::npos))
      return true;
  }
  return false;
}

// As in training (CheckpointContent::good_before): a checkpoint is known to be good once a step after it had a finite
// gradient. The newest of them stays, in case the newest of all turns out to diverge.
std::optional<int64_t> newest_good(const RunDir& run, const std::vector<KnownCheckpoint>& known) {
  const nlohmann::json last = read_metrics_tail(run.metrics()).last_step;
  const bool has_step = last.is_object() && last.contains("step") && last["step"].is_number_integer();
  const int64_t good_before = has_step && !last.contains("skipped") ? last["step"].get<int64_t>() : 0;
  const auto good = std::find_if(known.begin(), known.end(), [&](const KnownCheckpoint& one) {
    return one.has_optimizer && (good_before > 0 ? one.step < good_before : one.step < known.front().step);
  });
  return good == known.end() ? std::nullopt : std::optional(good->step);
}

// Reasons to stay by step, of all checkpoints whose manifest can be read.
std::map<int64_t, std::vector<std::string>> reasons_of(const RunDir& run, const PruneRules& rules, bool finished,
                                                       const std::vector<KnownCheckpoint>& known) {
  std::map<int64_t, std::vector<std::string>> reasons;
  for (const KnownCheckpoint& one : known) reasons[one.step];
  int newest = 0;
  for (const KnownCheckpoint& one : known) {
    if (!one.has_optimizer || newest == std::max(1, rules.keep_last)) continue;
    reasons[one.step].emplace_back(newest == 0 ? "resume point"
                                               : "one of the newest " + std::to_string(rules.keep_last));
    ++newest;
  }
  if (const auto good = finished ? std::nullopt : newest_good(run, known))
    reasons[*good].emplace_back("known to be good");
  for (const char* pointer : {kLatest, kBest})
    if (const auto step = read_pointer(run.checkpoints(), pointer).step) reasons[*step].emplace_back(pointer);
  if (!known.empty() && !read_pointer(run.checkpoints(), kLatest).step)
    reasons[known.front().step].emplace_back("newest");
  const std::vector<KnownCheckpoint> best = best_first(known);
  for (size_t i = 0; i < best.size() && i < static_cast<size_t>(std::max(0, rules.keep_best)); ++i)
    reasons[best[i].step].push_back(fmt::format("score {:.4g}", *best[i].score));
  for (auto& [step, why] : reasons)
    if (!rules.scored && is_scored(run, step)) why.emplace_back("has results");
  return reasons;
}

void add_checkpoints(const RunDir& run, const PruneRules& rules, const CheckpointUses& uses, PrunePlan& plan) {
  const std::vector<KnownCheckpoint> known = known_checkpoints(run.checkpoints(), false);
  const bool finished = plan.state == "finished";
  auto reasons = reasons_of(run, rules, finished, known);
  for (const KnownCheckpoint& one : known)
    if (one.has_optimizer && plan.resume_point.empty())
      plan.resume_point = run.checkpoints() + "/" + checkpoint_name(one.step);
  for (const int64_t step : steps_in(run.checkpoints())) {
    PruneEntry entry{run.checkpoints() + "/" + checkpoint_name(step), 0, {}, 0, ""};
    entry.bytes = bytes_of(entry.path);
    const auto found = reasons.find(step);
    if (found == reasons.end())
      entry.reasons = {"its manifest cannot be read here: `hyperx verify` says why"};
    else
      entry.reasons = std::move(found->second);
    std::error_code unknown;
    if (const auto users = uses.find(fs::weakly_canonical(entry.path, unknown).string()); users != uses.end())
      for (const std::string& user : users->second) entry.reasons.push_back("used by " + user);
    const std::string optimizer = entry.path + "/" + kOptimizerFile;
    if (rules.optimizer && finished && found != reasons.end() && !entry.goes() && fs::exists(optimizer, unknown))
      entry.optimizer_bytes = bytes_of(optimizer);
    plan.entries.push_back(std::move(entry));
  }
}

void add_others(const RunDir& run, const PruneRules& rules, PrunePlan& plan) {
  for (const std::string& name : names_in(run.checkpoints()))
    if (name.starts_with("step-") && name.ends_with(".tmp"))
      plan.entries.push_back({run.checkpoints() + "/" + name,
                              bytes_of(run.checkpoints() + "/" + name),
                              {},
                              0,
                              "unfinished, of a process that was killed"});
  for (const std::string& folder : {run.path, run.checkpoints()})
    for (const std::string& name : names_in(folder)) {
      if (!is_set_aside(name)) continue;
      PruneEntry entry{folder + "/" + name, bytes_of(folder + "/" + name), {}, 0, "set aside"};
      if (!rules.set_aside) entry.reasons = {"set aside; --set-aside removes it"};
      plan.entries.push_back(std::move(entry));
    }
}

std::string state_of(const RunDir& run) {
  const RunState stored = read_run_state(run);
  return observed_state(run, stored);
}

// The new name of what is about to be deleted. A training that starts removes such names, too.
std::string doomed_name(const std::string& path) { return path + "." + std::to_string(::getpid()) + ".tmp"; }

void rename_away(const std::string& path, std::vector<std::string>& doomed) {
  const std::string to = doomed_name(path);
  if (std::rename(path.c_str(), to.c_str()) != 0)
    throw SystemError(path + ": cannot be renamed to be removed: " + errno_text());
  doomed.push_back(to);
}

void require_whole(const std::string& checkpoint) {
  const std::vector<std::string> problems = verify_checkpoint(checkpoint);
  if (problems.empty()) return;
  throw UserError(ExitCode::kBadData,
                  problems.front() + ". The run would resume from this checkpoint, so nothing older is removed");
}

}  // namespace

int64_t PrunePlan::bytes_removed() const {
  int64_t bytes = 0;
  for (const PruneEntry& entry : entries) bytes += entry.goes() ? entry.bytes : entry.optimizer_bytes;
  return bytes;
}

bool PrunePlan::removes_anything() const {
  return std::any_of(entries.begin(), entries.end(),
                     [](const PruneEntry& entry) { return entry.goes() || entry.optimizer_bytes > 0; });
}

PrunePlan plan_prune(const RunDir& run, const PruneRules& rules, const CheckpointUses& uses) {
  PrunePlan plan;
  plan.run = run.path;
  try {
    plan.state = state_of(run);
    if (plan.state == "running" || plan.state == "queued") {
      plan.untouched = "it is " + plan.state;
      return plan;
    }
    add_checkpoints(run, rules, uses, plan);
    add_others(run, rules, plan);
    const bool removes = std::any_of(plan.entries.begin(), plan.entries.end(),
                                     [](const PruneEntry& entry) { return entry.goes() && entry.what.empty(); });
    if (removes && plan.resume_point.empty() && plan.state != "finished")
      plan.untouched = "it is not finished and has no checkpoint to resume from";
  } catch (const std::exception& error) {
    plan.untouched = error.what();
  }
  if (!plan.untouched.empty()) plan.entries.clear();
  return plan;
}

int64_t carry_out(const PrunePlan& plan, const PruneRules& rules, const CheckpointUses& uses) {
  const RunDir run{plan.run};
  if (!plan.resume_point.empty()) require_whole(plan.resume_point);  // takes long: before the lock
  std::set<std::string> agreed;
  for (const PruneEntry& entry : plan.entries)
    if (entry.goes()) agreed.insert(entry.path);
  std::vector<std::string> doomed;
  int64_t bytes = 0;
  {
    const RunLock lock(run);
    // The lock is ours, so the state of a run that was killed is no obstacle now.
    const PrunePlan now = plan_prune(run, rules, uses);
    if (!now.untouched.empty())
      throw UserError(ExitCode::kCannotCreate, plan.run + ": " + now.untouched + " by now: nothing was removed");
    if (now.resume_point != plan.resume_point)
      throw UserError(ExitCode::kCannotCreate,
                      plan.run + ": its newest checkpoint has changed meanwhile: nothing was removed; run it again");
    for (const PruneEntry& entry : now.entries) {
      if (entry.goes() && agreed.contains(entry.path)) {
        rename_away(entry.path, doomed);
        bytes += entry.bytes;
      } else if (entry.optimizer_bytes > 0) {
        drop_optimizer(entry.path, "removed by hyperx prune");
        bytes += entry.optimizer_bytes;
      }
    }
    if (kind_of(run.checkpoints()) == PathKind::kFolder) sync_path(run.checkpoints());
  }
  for (const std::string& path : doomed) remove_whole(path);
  return bytes;
}

}  // namespace hyperx::train

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <set>

#include "common/errors.h"
#include "common/files.h"
#include "common/log.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/checkpoint_writer.h"
#include "trainer/checkpoint/manifest_text.h"

namespace hyperx::train {

namespace {

namespace fs = std::filesystem;

constexpr char kLatest[] = "latest";
constexpr char kBest[] = "best";

// Folders named step-N, newest first.
std::vector<int64_t> steps_in(const std::string& checkpoints) {
  std::vector<int64_t> steps;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(checkpoints, error))
    if (const auto step = step_of_name(entry.path().filename().string()); step && entry.is_directory())
      steps.push_back(*step);
  std::sort(steps.rbegin(), steps.rend());
  return steps;
}

// Step of the checkpoint that `latest` or `best` names, if it exists.
std::optional<int64_t> named_step(const std::string& checkpoints, const char* name) {
  const std::string path = checkpoints + "/" + name;
  if (!fs::is_regular_file(path)) return std::nullopt;
  std::string text = read_file(path);
  text.erase(text.find_last_not_of(" \r\n") + 1);
  const std::optional<int64_t> step = step_of_name(text);
  return step && fs::is_directory(checkpoints + "/" + text) ? step : std::nullopt;
}

std::string join_lines(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "; ") + line;
  return text;
}

void refuse_other_format(const std::string& folder) {
  try {
    read_manifest(folder);
  } catch (const OtherFormat&) {
    throw;
  } catch (const UserError&) {  // damaged, as verify_checkpoint() will report
  }
}

}  // namespace

FoundCheckpoint find_latest_whole(const std::string& checkpoints, bool to_resume) {
  FoundCheckpoint found;
  for (const int64_t step : steps_in(checkpoints)) {
    const std::string folder = checkpoints + "/" + checkpoint_name(step);
    refuse_other_format(folder);
    const std::vector<std::string> problems = verify_checkpoint(folder);
    if (!problems.empty()) {
      found.damaged.push_back({folder, join_lines(problems)});
      continue;
    }
    if (to_resume && !read_manifest(folder).has_optimizer()) continue;
    found.folder = folder;
    found.step = step;
    break;
  }
  return found;
}

void set_aside_damaged(const FoundCheckpoint& found) {
  for (const auto& [folder, reason] : found.damaged) {
    const std::string aside = folder + ".damaged";
    fs::remove_all(aside);
    if (std::rename(folder.c_str(), aside.c_str()) != 0)
      throw SystemError(folder + ": cannot be renamed: " + errno_text());
    log::warning("checkpoint set aside as {}: {}", fs::path(aside).filename().string(), reason);
  }
}

std::string run_of_checkpoint(const std::string& checkpoint) {
  const fs::path folder = fs::weakly_canonical(checkpoint).parent_path();
  return (folder.filename() == "checkpoints" ? folder.parent_path() : folder).string();
}

std::string resolve_checkpoint(const std::string& run_or_checkpoint) {
  std::string path = run_or_checkpoint;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  if (fs::exists(path + "/" + kManifestFile)) return path;
  if (!fs::is_directory(path)) throw UserError(ExitCode::kNoInput, path + ": no such run or checkpoint folder");
  const std::string checkpoints = fs::is_directory(path + "/checkpoints") ? path + "/checkpoints" : path;
  for (const char* name : {kBest, kLatest})
    if (const auto step = named_step(checkpoints, name)) return checkpoints + "/" + checkpoint_name(*step);
  const std::vector<int64_t> steps = steps_in(checkpoints);
  if (steps.empty())
    throw UserError(ExitCode::kNoInput,
                    path + ": holds no checkpoint. A run saves its first one after checkpoint.every steps.");
  return checkpoints + "/" + checkpoint_name(steps.front());
}

std::vector<std::string> prune_checkpoints(const std::string& folder, int keep_last, int keep_best) {
  struct Known {
    int64_t step;
    std::optional<double> score;
    std::string score_of;
    bool has_optimizer;
  };
  std::vector<Known> known;  // newest first; damaged ones cannot be judged here and are kept
  for (const int64_t step : steps_in(folder)) {
    try {
      const Manifest manifest = read_manifest(folder + "/" + checkpoint_name(step));
      known.push_back({step, manifest.score, manifest.score_of, manifest.has_optimizer()});
    } catch (const UserError& error) {
      log::warning("{}", error.what());
    }
  }
  std::set<int64_t> candidates, stays, keeps_optimizer;
  for (const Known& one : known) candidates.insert(one.step);
  for (const Known& one : known)
    if (one.has_optimizer && keeps_optimizer.size() < static_cast<size_t>(std::max(1, keep_last)))
      keeps_optimizer.insert(one.step);
  stays = keeps_optimizer;
  for (const char* name : {kLatest, kBest})
    if (const auto step = named_step(folder, name)) stays.insert(*step);
  std::erase_if(known, [](const Known& one) { return !one.score; });
  if (!known.empty())
    std::erase_if(known, [of = known.front().score_of](const Known& one) { return one.score_of != of; });
  std::sort(known.begin(), known.end(),
            [](const Known& a, const Known& b) { return a.score != b.score ? *a.score > *b.score : a.step < b.step; });
  for (size_t i = 0; i < known.size() && i < static_cast<size_t>(std::max(0, keep_best)); ++i)
    stays.insert(known[i].step);

  std::vector<std::string> deleted;
  for (const int64_t step : candidates) {
    const std::string name = checkpoint_name(step), path = folder + "/" + name;
    if (stays.count(step) > 0) {
      if (keeps_optimizer.count(step) == 0) drop_optimizer(path);
      continue;
    }
    // renamed first: a half-deleted folder must not look like a damaged checkpoint
    std::error_code error;
    fs::rename(path, path + ".tmp", error);
    if (!error) fs::remove_all(path + ".tmp", error);
    if (error) throw SystemError(path + ": cannot be deleted: " + error.message());
    deleted.push_back(name);
  }
  return deleted;
}

}  // namespace hyperx::train

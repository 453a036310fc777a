#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <set>

#include "common/errors.h"
#include "common/files.h"
#include "common/log.h"
#include "common/read_error.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/checkpoint_writer.h"
#include "trainer/checkpoint/manifest_text.h"

namespace hyperx::train {

namespace {

namespace fs = std::filesystem;

constexpr char kLatest[] = "latest";
constexpr char kBest[] = "best";

// Steps of the folders named step-N, newest first.
std::vector<int64_t> steps_in(const std::string& checkpoints) {
  std::vector<int64_t> steps;
  for (const std::string& name : names_in(checkpoints))
    if (const auto step = step_of_name(name); step && kind_of(checkpoints + "/" + name) == PathKind::kFolder)
      steps.push_back(*step);
  std::sort(steps.rbegin(), steps.rend());
  return steps;
}

// What the file `latest` or `best` says.
struct Pointer {
  bool exists = false;
  std::string text;             // without the end of the line
  std::optional<int64_t> step;  // of the checkpoint that it names, if that exists

  std::string what_it_says() const {
    if (!exists) return "is missing";
    if (text.empty()) return "is empty";
    return (step ? "names " : "names no checkpoint here: '") + text.substr(0, 40) + (step ? "" : "'");
  }
};

Pointer read_pointer(const std::string& checkpoints, const char* name) {
  Pointer pointer;
  const std::string path = checkpoints + "/" + name;
  pointer.exists = kind_of(path) != PathKind::kNothing;
  if (!pointer.exists) return pointer;
  pointer.text = read_file(path);
  pointer.text.erase(pointer.text.find_last_not_of(" \r\n") + 1);
  const std::optional<int64_t> step = step_of_name(pointer.text);
  if (step && kind_of(checkpoints + "/" + pointer.text) == PathKind::kFolder) pointer.step = step;
  return pointer;
}

// What a checkpoint records of itself.
struct Known {
  int64_t step;
  std::optional<double> score;
  std::string score_of;
  bool has_optimizer, keeps_best;
};

// Newest first. Those whose manifest is damaged cannot be judged: they are left out, with a warning if `warns`.
std::vector<Known> known_checkpoints(const std::string& folder, bool warns) {
  std::vector<Known> known;
  for (const int64_t step : steps_in(folder)) {
    const std::string path = folder + "/" + checkpoint_name(step);
    try {
      const Manifest manifest = read_manifest(path);
      const std::string config = manifest.all.value("config", "");
      const bool keeps_best = config.find("\ncheckpoint.keep_best = 0\n") == std::string::npos;
      known.push_back({step, manifest.score, manifest.score_of, manifest.has_optimizer(), keeps_best});
    } catch (const ReadError&) {
      throw;
    } catch (const UserError& error) {
      if (warns && kind_of(path) != PathKind::kNothing) log::warning("{}", error.what());  // else deleted meanwhile
    }
  }
  return known;
}

// Those whose scores can be compared with the newest scored one's: the highest score first, of equals the earliest.
std::vector<Known> best_first(std::vector<Known> known) {
  std::erase_if(known, [](const Known& one) { return !one.score; });
  if (known.empty()) return known;
  std::erase_if(known, [of = known.front().score_of](const Known& one) {
    return one.score_of != of && !one.score_of.empty();  // version 0.1.0 did not record what it scored
  });
  std::sort(known.begin(), known.end(),
            [](const Known& a, const Known& b) { return a.score != b.score ? *a.score > *b.score : a.step < b.step; });
  return known;
}

// The step that a run stands for; `asked` is for messages.
int64_t chosen_step(const std::string& checkpoints, const std::string& asked) {
  const std::vector<int64_t> steps = steps_in(checkpoints);
  if (steps.empty())
    throw UserError(ExitCode::kNoInput,
                    asked + ": holds no checkpoint. A run saves its first one after checkpoint.every steps.");
  const std::vector<Known> known = known_checkpoints(checkpoints, true);
  const auto record_of = [&](int64_t step) {
    return std::find_if(known.begin(), known.end(), [step](const Known& one) { return one.step == step; });
  };
  const Pointer best = read_pointer(checkpoints, kBest);
  if (best.step && record_of(*best.step) == known.end()) return *best.step;  // damaged: opening it says so
  const std::vector<Known> scored = best_first(known);
  if (!scored.empty() && known.front().keeps_best) {
    const Known& highest = scored.front();
    if (best.step && record_of(*best.step)->score == highest.score) return *best.step;
    log::warning("{}/{} {}: {} is taken, which has the highest score by the checkpoints' own records", checkpoints,
                 kBest, best.what_it_says(), checkpoint_name(highest.step));
    return highest.step;
  }
  if (best.step) return *best.step;
  if (best.exists)
    throw UserError(ExitCode::kBadData,
                    fmt::format("{}/{} {}, and no checkpoint records a score. Write the name of one into it, such as "
                                "{}, or remove it to use the latest",
                                checkpoints, kBest, best.what_it_says(), checkpoint_name(steps.front())));
  const Pointer latest = read_pointer(checkpoints, kLatest);
  if (latest.step != steps.front())
    log::warning("{}/{} {}: the newest checkpoint, {}, is taken", checkpoints, kLatest, latest.what_it_says(),
                 checkpoint_name(steps.front()));
  else
    log::info("{} has no best checkpoint: {}, the latest, is taken", asked, checkpoint_name(steps.front()));
  return steps.front();
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
  } catch (const ReadError&) {
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

std::string unused_name(const std::string& path, const std::string& word) {
  std::string name = path + "." + word;
  for (int number = 2; kind_of(name) != PathKind::kNothing; ++number)
    name = path + "." + word + "-" + std::to_string(number);
  return name;
}

std::string set_aside(const std::string& path, const std::string& word) {
  std::string aside = unused_name(path, word);
  if (std::rename(path.c_str(), aside.c_str()) != 0)
    throw SystemError(path + ": cannot be renamed to " + aside + ": " + errno_text());
  return aside;
}

void set_aside_damaged(const FoundCheckpoint& found) {
  for (const auto& [folder, reason] : found.damaged)
    log::warning("checkpoint set aside as {}: {}", fs::path(set_aside(folder, "damaged")).filename().string(), reason);
}

UserError nothing_to_resume(const std::string& checkpoints, const std::string& why) {
  return {ExitCode::kBadData,
          checkpoints + ": " + why +
              ". Restore a checkpoint from a copy, or start over with --resume restart, which keeps "
              "what is here under other names"};
}

std::string take_resume_point(const std::string& checkpoints) {
  FoundCheckpoint found;
  std::vector<std::string> names;
  try {
    found = find_latest_whole(checkpoints);
    names = names_in(checkpoints);
    for (const char* name : {kLatest, kBest}) read_pointer(checkpoints, name);  // the first save would need them
  } catch (const ReadError& error) {
    throw UserError(ExitCode::kIo, std::string(error.what()) +
                                       "; nothing was changed. Run the same command again once it can be read");
  }
  if (!found.folder.empty()) {
    set_aside_damaged(found);
    return found.folder;
  }
  if (!found.damaged.empty())
    throw nothing_to_resume(checkpoints, fmt::format("none of its checkpoints is whole ({} damaged; the newest: {})",
                                                     found.damaged.size(), found.damaged.front().reason));
  const auto once_saved = std::find_if(names.begin(), names.end(), [](const std::string& name) {
    const bool unfinished = fs::path(name).extension() == ".tmp";
    return !unfinished && (name == kLatest || name == kBest || name.starts_with("step-"));
  });
  if (once_saved != names.end())
    throw nothing_to_resume(checkpoints, fmt::format("holds {}, but no checkpoint to continue from", *once_saved));
  return "";
}

std::string drop_diverged(const std::string& checkpoints, int64_t good_before, int keep_best) {
  std::string good;
  for (const Known& one : known_checkpoints(checkpoints, false)) {
    const std::string folder = checkpoints + "/" + checkpoint_name(one.step);
    if (one.step >= good_before)
      log::warning("checkpoint set aside as {}: it has the weights of a training that diverged",
                   fs::path(set_aside(folder, "diverged")).filename().string());
    else if (good.empty() && one.has_optimizer)
      good = folder;
  }
  name_checkpoints(checkpoints, keep_best);
  return good;
}

std::string run_of_checkpoint(const std::string& checkpoint) {
  const fs::path folder = fs::weakly_canonical(checkpoint).parent_path();
  return (folder.filename() == "checkpoints" ? folder.parent_path() : folder).string();
}

std::string resolve_checkpoint(const std::string& run_or_checkpoint) {
  std::string path = run_or_checkpoint;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  if (kind_of(path + "/" + kManifestFile) != PathKind::kNothing) return path;
  if (kind_of(path) != PathKind::kFolder)
    throw UserError(ExitCode::kNoInput, path + ": no such run or checkpoint folder");
  const std::string checkpoints = kind_of(path + "/checkpoints") == PathKind::kFolder ? path + "/checkpoints" : path;
  return checkpoints + "/" + checkpoint_name(chosen_step(checkpoints, path));
}

void name_checkpoints(const std::string& folder, int keep_best) {
  const std::vector<Known> known = known_checkpoints(folder, false);
  const auto name = [&](const char* pointer, const std::vector<Known>& from) {
    if (from.empty() || read_pointer(folder, pointer).step == from.front().step) return;
    write_file_atomically(folder + "/" + pointer, checkpoint_name(from.front().step) + "\n");
  };
  name(kLatest, known);
  if (keep_best > 0) name(kBest, best_first(known));
}

std::vector<std::string> prune_checkpoints(const std::string& folder, int keep_last, int keep_best,
                                           int64_t good_before) {
  const std::vector<Known> known = known_checkpoints(folder, true);
  std::set<int64_t> stays, keeps_optimizer;
  for (const Known& one : known)
    if (one.has_optimizer && keeps_optimizer.size() < static_cast<size_t>(std::max(1, keep_last)))
      keeps_optimizer.insert(one.step);
  const auto good = std::find_if(known.begin(), known.end(), [good_before](const Known& one) {
    return one.has_optimizer && one.step < good_before;
  });
  if (good != known.end()) keeps_optimizer.insert(good->step);
  stays = keeps_optimizer;
  for (const char* name : {kLatest, kBest})
    if (const auto step = read_pointer(folder, name).step) stays.insert(*step);
  const std::vector<Known> scored = best_first(known);
  for (size_t i = 0; i < scored.size() && i < static_cast<size_t>(std::max(0, keep_best)); ++i)
    stays.insert(scored[i].step);

  std::vector<std::string> deleted;
  for (const Known& one : known) {
    const std::string name = checkpoint_name(one.step), path = folder + "/" + name;
    if (stays.contains(one.step)) {
      if (!keeps_optimizer.contains(one.step)) drop_optimizer(path);
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

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <set>

#include "common/errors.h"
#include "common/files.h"
#include "common/log.h"
#include "common/read_error.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/checkpoint_list.h"
#include "trainer/checkpoint/checkpoint_writer.h"
#include "trainer/checkpoint/manifest_text.h"

namespace hyperx::train {

namespace {

namespace fs = std::filesystem;

// The step that a run stands for; `asked` is for messages.
int64_t chosen_step(const std::string& checkpoints, const std::string& asked) {
  const std::vector<int64_t> steps = steps_in(checkpoints);
  if (steps.empty())
    throw UserError(ExitCode::kNoInput,
                    asked + ": holds no checkpoint. A run saves its first one after checkpoint.every steps.");
  const std::vector<KnownCheckpoint> known = known_checkpoints(checkpoints, true);
  const auto record_of = [&](int64_t step) {
    return std::find_if(known.begin(), known.end(), [step](const KnownCheckpoint& one) { return one.step == step; });
  };
  const Pointer best = read_pointer(checkpoints, kBest);
  if (best.step && record_of(*best.step) == known.end()) return *best.step;  // damaged: opening it says so
  const std::vector<KnownCheckpoint> scored = best_first(known);
  if (!scored.empty() && known.front().keeps_best) {
    const KnownCheckpoint& highest = scored.front();
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
    if (to_resume && !read_manifest(folder).has_optimizer()) {
      found.without_optimizer = true;
      continue;
    }
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
  if (found.without_optimizer)
    throw nothing_to_resume(checkpoints,
                            "no checkpoint here has its optimizer any more, as after `hyperx prune --optimizer`: the "
                            "run can be evaluated, and others can start from it (train.init_from), but not go on");
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
  for (const KnownCheckpoint& one : known_checkpoints(checkpoints, false)) {
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
  const std::string path = without_slashes(run_or_checkpoint);
  if (kind_of(path + "/" + kManifestFile) != PathKind::kNothing) return path;
  if (kind_of(path) != PathKind::kFolder)
    throw UserError(ExitCode::kNoInput, path + ": no such run or checkpoint folder");
  const std::string checkpoints = kind_of(path + "/checkpoints") == PathKind::kFolder ? path + "/checkpoints" : path;
  return checkpoints + "/" + checkpoint_name(chosen_step(checkpoints, path));
}

void name_checkpoints(const std::string& folder, int keep_best) {
  const std::vector<KnownCheckpoint> known = known_checkpoints(folder, false);
  const auto name = [&](const char* pointer, const std::vector<KnownCheckpoint>& from) {
    if (from.empty() || read_pointer(folder, pointer).step == from.front().step) return;
    write_file_atomically(folder + "/" + pointer, checkpoint_name(from.front().step) + "\n");
  };
  name(kLatest, known);
  if (keep_best > 0) name(kBest, best_first(known));
}

std::vector<std::string> prune_checkpoints(const std::string& folder, int keep_last, int keep_best,
                                           int64_t good_before) {
  const std::vector<KnownCheckpoint> known = known_checkpoints(folder, true);
  std::set<int64_t> stays, keeps_optimizer;
  for (const KnownCheckpoint& one : known)
    if (one.has_optimizer && keeps_optimizer.size() < static_cast<size_t>(std::max(1, keep_last)))
      keeps_optimizer.insert(one.step);
  const auto good = std::find_if(known.begin(), known.end(), [good_before](const KnownCheckpoint& one) {
    return one.has_optimizer && one.step < good_before;
  });
  if (good != known.end()) keeps_optimizer.insert(good->step);
  stays = keeps_optimizer;
  for (const char* name : {kLatest, kBest})
    if (const auto step = read_pointer(folder, name).step) stays.insert(*step);
  const std::vector<KnownCheckpoint> scored = best_first(known);
  for (size_t i = 0; i < scored.size() && i < static_cast<size_t>(std::max(0, keep_best)); ++i)
    stays.insert(scored[i].step);

  std::vector<std::string> deleted;
  for (const KnownCheckpoint& one : known) {
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

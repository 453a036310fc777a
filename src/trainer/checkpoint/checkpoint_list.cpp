#include "trainer/checkpoint/checkpoint_list.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "common/errors.h"
#include "common/files.h"
#include "common/log.h"
#include "common/read_error.h"
#include "trainer/checkpoint/checkpoint.h"

namespace hyperx::train {

void remove_whole(const std::string& path) {
  std::error_code error;
  do {
    std::filesystem::remove_all(path, error);  // fails if a file in it disappears meanwhile
  } while (error == std::errc::no_such_file_or_directory && kind_of(path) != PathKind::kNothing);
  if (error && kind_of(path) != PathKind::kNothing) throw SystemError(path + ": cannot be removed: " + error.message());
}

std::vector<int64_t> steps_in(const std::string& checkpoints) {
  std::vector<int64_t> steps;
  for (const std::string& name : names_in(checkpoints))
    if (const auto step = step_of_name(name); step && kind_of(checkpoints + "/" + name) == PathKind::kFolder)
      steps.push_back(*step);
  std::sort(steps.rbegin(), steps.rend());
  return steps;
}

std::string Pointer::what_it_says() const {
  if (!exists) return "is missing";
  if (text.empty()) return "is empty";
  return (step ? "names " : "names no checkpoint here: '") + text.substr(0, 40) + (step ? "" : "'");
}

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

std::vector<KnownCheckpoint> known_checkpoints(const std::string& folder, bool warns) {
  std::vector<KnownCheckpoint> known;
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

std::vector<KnownCheckpoint> best_first(std::vector<KnownCheckpoint> known) {
  std::erase_if(known, [](const KnownCheckpoint& one) { return !one.score; });
  if (known.empty()) return known;
  std::erase_if(known, [of = known.front().score_of](const KnownCheckpoint& one) {
    return one.score_of != of && !one.score_of.empty();  // version 0.1.0 did not record what it scored
  });
  std::sort(known.begin(), known.end(), [](const KnownCheckpoint& a, const KnownCheckpoint& b) {
    return a.score != b.score ? *a.score > *b.score : a.step < b.step;
  });
  return known;
}

}  // namespace hyperx::train

#include "trainer/run/find_runs.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "common/errors.h"
#include "common/files.h"
#include "common/read_error.h"
#include "trainer/run/run_dir.h"

namespace hyperx::train {

namespace {

namespace fs = std::filesystem;

void search(const std::string& folder, FoundRuns& found) {
  if (is_run_folder(folder)) {
    found.runs.push_back(folder);
    return;
  }
  std::vector<std::string> folders;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code unknown;
    if (name.starts_with(".") || !entry->is_directory(unknown)) continue;
    const std::string path = entry->path().string();
    if (!entry->is_symlink(unknown) || is_run_folder(path)) folders.push_back(path);
  }
  if (error) found.unreadable.emplace_back(folder, "cannot be listed: " + error.message());
  std::sort(folders.begin(), folders.end());
  for (const std::string& each : folders) search(each, found);
}

}  // namespace

bool is_run_folder(const std::string& path) {
  const RunDir run{path};
  for (const std::string& part : {run.state(), run.metrics(), run.checkpoints(), run.lock()}) {
    std::error_code unknown;
    if (fs::exists(part, unknown)) return true;
  }
  return false;
}

FoundRuns find_runs(const std::vector<std::string>& paths) {
  if (paths.empty()) throw UserError(ExitCode::kUsage, "name run folders, or a folder that holds some, such as runs/");
  FoundRuns all;
  std::set<std::string> seen;
  for (const std::string& path : paths) {
    const std::string folder = without_slashes(path);
    if (kind_of(folder) != PathKind::kFolder) throw UserError(ExitCode::kNoInput, folder + ": no such run folder");
    FoundRuns found;
    search(folder, found);
    if (found.runs.empty() && found.unreadable.empty())
      throw UserError(ExitCode::kNoInput, folder + ": holds no run: neither it nor a folder in it has a state.json");
    for (const std::string& run : found.runs) {
      std::error_code unknown;
      const fs::path real = fs::canonical(run, unknown);
      if (seen.insert(unknown ? run : real.string()).second) all.runs.push_back(run);
    }
    all.unreadable.insert(all.unreadable.end(), found.unreadable.begin(), found.unreadable.end());
  }
  return all;
}

}  // namespace hyperx::train

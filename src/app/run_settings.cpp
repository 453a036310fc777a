#include "app/run_settings.h"

#include <algorithm>
#include <filesystem>

#include "common/config/stored_paths.h"
#include "common/files.h"
#include "common/hdf5/hdf5_file.h"
#include "common/json.h"
#include "common/read_error.h"
#include "model/options.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/checkpoint_list.h"

namespace hyperx {
namespace {

namespace fs = std::filesystem;

// The checkpoint that a path to a run or checkpoint means, by its canonical name; empty: there is none (any more).
std::string checkpoint_of(const std::string& path) {
  try {
    std::error_code unknown;
    const std::string folder =
        kind_of(path + "/" + train::kManifestFile) != PathKind::kNothing ? path : train::resolve_checkpoint(path);
    return fs::weakly_canonical(folder, unknown).string();
  } catch (const std::runtime_error&) {  // UserError, SystemError
    return "";
  }
}

std::vector<std::string> paths_in_settings(const std::string& run) {
  const Config config = read_run_settings(run);
  std::vector<std::string> paths;
  for (const config::Option& option : model::options().options) {
    if (!names_weights(option)) continue;
    config::with_paths(option, option.get(config), [&](const std::string& path) {
      if (!path.empty()) paths.push_back(path);
      return path;
    });
  }
  return paths;
}

std::vector<std::string> paths_in_checkpoint(const std::string& run) {
  const std::string checkpoints = train::RunDir{run}.checkpoints();
  const std::vector<int64_t> steps = train::steps_in(checkpoints);
  if (steps.empty()) return {};
  const std::string path = checkpoints + "/" + train::checkpoint_name(steps.front()) + "/" + train::kModelFile;
  const nlohmann::json info = parse_json(h5::File::open(path).read_text("info"), path + ": info");
  const JsonValue record(path, info);
  std::vector<std::string> paths;
  if (record.has("needed_runs"))
    for (const JsonValue& each : record["needed_runs"].items())
      paths.push_back(config::path_of_stored(each["checkpoint"].text(), run));
  return paths;
}

}  // namespace

Config read_run_settings(const std::string& run) {
  const std::string path = train::RunDir{run}.config();
  Config config = parse_config_text(model::options(), read_file(path), path, Removed::kPassOver);
  for (const config::Option& option : model::options().options)
    if (option.paths != config::Paths::kNone)
      option.text(config) = config::with_paths(option, option.get(config), [&](const std::string& stored) {
        return stored.empty() ? stored : config::path_of_stored(stored, run);
      });
  return config;
}

bool names_weights(const config::Option& option) {
  if (option.paths == config::Paths::kNone || option.paths == config::Paths::kEncoder) return false;
  return !option.key.starts_with("run.") && !option.key.starts_with("data.");
}

train::CheckpointUses find_uses(const std::vector<std::string>& runs) {
  train::CheckpointUses uses;
  for (const std::string& run : runs) {
    std::vector<std::string> paths;
    for (const auto& read : {paths_in_settings, paths_in_checkpoint}) {
      try {
        for (std::string& path : read(run)) paths.push_back(std::move(path));
      } catch (const std::runtime_error&) {  // damaged, or another version's: `status` and `verify` tell
      }
    }
    for (const std::string& path : paths) {
      const std::string checkpoint = checkpoint_of(path);
      if (checkpoint.empty()) continue;
      std::vector<std::string>& users = uses[checkpoint];
      if (std::find(users.begin(), users.end(), run) == users.end()) users.push_back(run);
    }
  }
  return uses;
}

}  // namespace hyperx

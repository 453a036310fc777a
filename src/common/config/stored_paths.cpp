#include "common/config/stored_paths.h"

#include <filesystem>
#include <sstream>

#include "common/config/make_option.h"

namespace hyperx::config {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRandom = "random:";  // of model.encoder

// Without links and "..", whether or not it exists.
fs::path whole(const fs::path& path) {
  std::error_code error;
  const fs::path found = fs::weakly_canonical(fs::absolute(path, error), error);
  return error ? path : found.has_filename() ? found : found.parent_path();
}

bool lies_in(const fs::path& path, const fs::path& folder) {
  const fs::path between = path.lexically_relative(folder);
  return !between.empty() && *between.begin() != "..";
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

}  // namespace

std::string stored_path(const std::string& path, const std::string& run, const std::string& project) {
  const fs::path around = whole(project), target = whole(path), folder = whole(run);
  const bool together = around != around.root_path() && lies_in(target, around) && lies_in(folder, around);
  const std::string stored = (together ? target.lexically_relative(folder) : target).string();
  std::string held;
  return read_value(stored, held) == Reading::kGood ? stored : path;
}

std::string path_of_stored(const std::string& stored, const std::string& run) {
  const fs::path path(stored);
  if (path.is_absolute()) return stored;
  const fs::path below = (fs::path(run) / path).lexically_normal();
  if (!is_there(below) && is_there(path)) return stored;
  return (below.has_filename() ? below : below.parent_path()).string();
}

std::vector<std::string> paths_in(const std::string& list) {
  std::vector<std::string> paths;
  std::istringstream parts(list);
  for (std::string path; std::getline(parts, path, ',');) {
    const size_t begin = path.find_first_not_of(' ');
    if (begin != std::string::npos) paths.push_back(path.substr(begin, path.find_last_not_of(' ') + 1 - begin));
  }
  return paths;
}

std::string with_paths(const Option& option, const std::string& text,
                       const std::function<std::string(const std::string&)>& change) {
  if (option.paths == Paths::kNone || text.empty()) return text;
  if (option.paths == Paths::kEncoder && text.starts_with(kRandom))
    return std::string(kRandom) + change(text.substr(kRandom.size()));
  if (option.paths != Paths::kList) return change(text);
  std::string changed;
  for (const std::string& folder : paths_in(text)) changed += (changed.empty() ? "" : ",") + change(folder);
  return changed;
}

Config stored_config(const Schema& schema, const Config& config, const std::string& run) {
  Config stored = config;
  for (const Option& option : schema.options)
    if (option.paths != Paths::kNone)
      option.text(stored) =
          with_paths(option, option.get(config), [&](const std::string& path) { return stored_path(path, run); });
  return stored;
}

}  // namespace hyperx::config

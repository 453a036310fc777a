#include "report/run_results.h"

#include <glob.h>

#include <algorithm>
#include <filesystem>

#include "common/config/stored_paths.h"
#include "common/errors.h"
#include "common/files.h"
#include "model/encoder/encoder_spec.h"
#include "model/options.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/run/run_dir.h"

namespace hyperx::report {
namespace {

namespace fs = std::filesystem;

constexpr char kResults[] = "/results";
// They say where the data lies; whether it is the same, the digests in the results say.
const std::set<std::string> kNoDifference = {"train.seed", "data.corpus", "data.root"};
// A resumed run may change them (an encoder can be moved), but the result depends on them.
const std::set<std::string> kDifference = {"train.init_from", "model.encoder"};

bool exists(const std::string& path) {
  std::error_code unreadable;
  return fs::exists(path, unreadable);
}

bool is_folder(const std::string& path) {
  std::error_code unreadable;
  return fs::is_directory(path, unreadable);
}

bool is_run(const std::string& folder) {
  return exists(train::RunDir{folder}.config()) || is_folder(folder + kResults);
}

void add_runs_in(const std::string& folder, int depth, std::set<std::string>& runs) {
  if (is_run(folder)) {
    runs.insert(folder);
    return;
  }
  if (depth == 0) return;
  std::error_code unreadable;
  for (const auto& entry : fs::directory_iterator(folder, unreadable))
    if (is_folder(entry.path().string())) add_runs_in(entry.path().string(), depth - 1, runs);
}

std::vector<std::string> matches_of(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> paths;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  return paths;
}

void read_settings(Run& run, std::vector<Problem>& problems) {
  const std::string path = train::RunDir{run.path}.config();
  if (!exists(path)) {
    problems.push_back({path, "missing: seed and settings of the run are unknown, so it is a system of its own"});
    return;
  }
  const config::Schema& schema = model::options();
  Config config;
  try {
    config = parse_config_text(schema, read_file(path), path, Removed::kPassOver);
  } catch (const UserError& error) {
    problems.push_back({path, error.what()});
    return;
  }
  run.has_config = true;
  run.seed = config.train.seed;
  run.method = config.model.method;
  const auto absolute = [&](const std::string& stored) { return config::path_of_stored(stored, run.path); };
  for (const config::Option& option : schema.options) {
    const bool counts = option.resume != config::Resume::kFree || kDifference.contains(option.key);
    if (counts && !kNoDifference.contains(option.key))
      run.settings[option.key] = config::with_paths(option, option.get(config), absolute);
  }
  run.read_by_encoder = model::languages_read_by(model::encoder_folder(run.settings.at("model.encoder")));
}

// Steps with a folder of results of the split, ascending.
std::vector<int64_t> steps_of(const Run& run, const std::string& split) {
  std::vector<int64_t> steps;
  std::error_code unreadable;
  for (const auto& entry : fs::directory_iterator(run.path + kResults, unreadable)) {
    const auto step = train::step_of_name(entry.path().filename().string());
    if (step && is_folder(entry.path().string() + "/" + split)) steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

// -1: unknown, such as in a run that was copied without its checkpoints.
int64_t best_step(const Run& run) {
  if (!is_folder(train::RunDir{run.path}.checkpoints())) return -1;
  try {
    const std::string name = fs::path(train::resolve_checkpoint(run.path)).filename().string();
    return train::step_of_name(name).value_or(-1);
  } catch (const UserError&) {
    return -1;
  }
}

bool choose_step(Run& run, const ReadOptions& options, std::vector<Problem>& problems) {
  std::vector<int64_t> steps = steps_of(run, options.split);
  if (steps.empty()) {
    problems.push_back({run.path, "holds no results of the split " + options.split + ": hyperx evaluate " + run.path +
                                      " --eval.split " + options.split});
    return false;
  }
  const bool is_asked = options.step >= 0;
  const int64_t wanted = is_asked ? options.step : steps.size() == 1 ? steps[0] : best_step(run);
  const auto found = std::find(steps.begin(), steps.end(), wanted);
  if (is_asked && found == steps.end()) {
    problems.push_back({run.path, "holds no results of step " + std::to_string(wanted)});
    return false;
  }
  run.step = found != steps.end() ? wanted : steps.back();
  std::erase(steps, run.step);
  run.other_steps = steps;
  return true;
}

ResultFile read_result_file(const std::string& path, const std::string& split) {
  ResultFile file{data::read_result(path), path};
  const std::string name = file.result.pair.file_name() + ".json";
  if (fs::path(path).filename() != name || file.result.split != split)
    throw UserError(ExitCode::kBadData, path + ": holds the result of " + file.result.pair.name() + " " +
                                            file.result.split + ": was it copied or renamed?");
  file.result.metrics.types.clear();
  if (file.result.novel) file.result.novel->types.clear();
  return file;
}

}  // namespace

std::string text_of(const Problem& problem) {
  return problem.what.starts_with(problem.path) ? problem.what : problem.path + ": " + problem.what;
}

std::string ResultFile::predictions_path() const {
  return data::predictions_path(fs::path(path).parent_path().string(), result.pair);
}

std::string Run::name() const { return fs::path(path).filename().string(); }

std::string Run::trained_pairs() const {
  const auto found = settings.find("train.pairs");
  return found == settings.end() ? "" : found->second;
}

std::string Run::results_folder(const std::string& split) const { return train::RunDir{path}.results(step, split); }

std::vector<std::string> find_runs(const std::string& name) {
  const std::string path = without_slashes(name);
  const bool is_pattern = !exists(path) && path.find_first_of("*?[") != std::string::npos;
  const std::vector<std::string> matches = is_pattern ? matches_of(path) : std::vector<std::string>{path};
  std::set<std::string> runs;
  for (const std::string& match : matches) add_runs_in(match, kDeepestRun, runs);
  if (!runs.empty()) return {runs.begin(), runs.end()};
  throw UserError(ExitCode::kNoInput,
                  name + (is_pattern     ? ": no run folder has a name of this pattern"
                          : exists(path) ? ": is no run folder and holds none (a run has config.conf or results/)"
                                         : ": no such run folder"));
}

Run read_run(const std::string& path, const ReadOptions& options, std::vector<Problem>& problems) {
  Run run;
  run.path = path;
  read_settings(run, problems);
  if (!choose_step(run, options, problems)) return run;
  std::vector<std::string> paths;
  std::error_code unreadable;
  for (const auto& entry : fs::directory_iterator(run.results_folder(options.split), unreadable))
    if (entry.path().extension() == ".json") paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  for (const std::string& file : paths) {
    try {
      run.results.push_back(read_result_file(file, options.split));
    } catch (const UserError& error) {
      problems.push_back({file, error.what()});
    }
  }
  return run;
}

}  // namespace hyperx::report

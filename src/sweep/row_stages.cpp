#include "sweep/row_stages.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "common/config/stored_paths.h"
#include "common/errors.h"
#include "model/options.h"
#include "sweep/row_status.h"
#include "trainer/comm/launch_probe.h"

namespace hyperx::sweep {
namespace {

namespace fs = std::filesystem;

constexpr int kFoldersUp = 4;  // from build/NAME/bin to the repository

void add_settings(const Plan& plan, const Evaluation& evaluation, std::vector<std::string>& words) {
  for (const auto& [key, value] : evaluation.settings) {
    const config::Option* const option = model::options().find(key);
    if (option == nullptr)
      config::throw_unknown_key(model::options(), key, plan.folder + "/plan.json: ", ExitCode::kBadConfig, nullptr);
    const auto resolve = [&](const std::string& path) { return config::path_of_stored(path, plan.folder + "/rows"); };
    words.push_back("--" + key + "=" + config::with_paths(*option, value, resolve));
  }
}

}  // namespace

std::string Stage::name() const { return evaluation == nullptr ? "train" : "evaluate " + evaluation->split; }

Ranks Ranks::of(int64_t asked) {
  const comm::LaunchProbe probe = comm::probe_launch([](const char* name) { return std::getenv(name); });
  if (probe.process_manager && asked > 0)
    throw UserError(ExitCode::kUsage,
                    "--ranks has no effect under mpirun or srun, which started the ranks already: leave it out");
  return {asked > 0 ? static_cast<int>(asked) : 1, probe.process_manager};
}

std::vector<Stage> stages_left(const Plan& plan, int64_t row, Only only) {
  const RowStatus status = status_of(plan, row);
  const bool trained = status.state == RowState::kFinished || status.state == RowState::kEvaluated;
  std::vector<Stage> stages;
  if (only == Only::kEvaluate && !trained && !plan.evaluations.empty())
    throw UserError(ExitCode::kNoInput, plan.run_folder(row) + ": row " + std::to_string(row) + " is " +
                                            word_of(status.state) +
                                            ", not trained to its end: run `--only train` first");
  if (only != Only::kEvaluate && !trained) stages.push_back({});
  if (only == Only::kTrain) return stages;
  for (const Evaluation& each : plan.evaluations)
    if (!trained || !is_evaluated(plan, row, each)) stages.push_back({&each});
  return stages;
}

std::vector<std::string> command_of(const Plan& plan, int64_t row, const Stage& stage, const Ranks& ranks) {
  std::vector<std::string> words = {this_program()};
  if (ranks.count > 1) {
    words = {find_script("launch/run"), "-n", std::to_string(ranks.count)};
    if (ranks.share_machine) words.emplace_back("--unbound");
    if (words[0].empty())
      throw UserError(ExitCode::kNoInput, "--ranks needs launch/run, which is not near " + this_program() +
                                              ": start `mpirun -n N hyperx sweep run ... --only train` instead");
  }
  if (stage.evaluation == nullptr) {
    words.insert(words.end(),
                 {"train", "--config", plan.settings_file(row), "--run.dir", plan.run_folder(row), "--resume", "auto"});
  } else {
    words.insert(words.end(), {"evaluate", plan.run_folder(row)});
    add_settings(plan, *stage.evaluation, words);
  }
  return words;
}

std::string this_program() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) throw SystemError("cannot tell where this program lies: /proc/self/exe: " + error.message());
  return program.string();
}

std::string find_script(const std::string& name) {
  fs::path folder = fs::path(this_program()).parent_path();
  for (int i = 0; i < kFoldersUp && folder.has_relative_path(); ++i, folder = folder.parent_path())
    if (::access((folder / name).c_str(), X_OK) == 0) return (folder / name).string();
  return "";
}

}  // namespace hyperx::sweep

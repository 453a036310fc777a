#include "trainer/checkpoint/checkpoint.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "common/digest.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/json.h"

namespace hyperx::train {

namespace {

constexpr char kTensors[] = "tensors/";
constexpr size_t kListed = 12;  // most differences listed in a message

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (size_t i = 0; i < lines.size() && i < kListed; ++i) text += (i > 0 ? ", " : "") + lines[i];
  if (lines.size() > kListed) text += " and " + std::to_string(lines.size() - kListed) + " more";
  return text;
}

std::string described(h5::Type type, const std::vector<int64_t>& shape) {
  std::string text = std::string(h5::name_of(type)) + " [";
  for (size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

nlohmann::json read_json(const h5::File& file, const std::string& name, const std::string& path) {
  return parse_json(file.read_text(name), path + ": " + name);
}

std::vector<h5::DatasetInfo> tensors_of(const h5::File& file) {
  std::vector<h5::DatasetInfo> tensors;
  for (h5::DatasetInfo& set : file.datasets()) {
    if (set.name.rfind(kTensors, 0) != 0) continue;
    set.name.erase(0, sizeof kTensors - 1);
    tensors.push_back(std::move(set));
  }
  return tensors;
}

// The problem of one listed file; "" if it is whole.
std::string file_problem(const std::string& path, const FileEntry& entry, const Progress& progress) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return path + ": " + errno_text();
  if (status.st_size != entry.bytes)
    return path + ": has " + std::to_string(status.st_size) + " bytes, its manifest says " +
           std::to_string(entry.bytes);
  try {
    if (progress) progress(path, 0, entry.bytes);
    const bool equal = xxh128_of_file(path) == entry.xxh128;
    if (progress) progress(path, entry.bytes, entry.bytes);
    return equal ? "" : path + ": its XXH128 is not the one in its manifest: some of its bytes were changed";
  } catch (const std::exception& error) {
    return error.what();
  }
}

std::vector<std::string> problems_of(const std::string& folder, const Manifest& manifest, const Progress& progress) {
  std::vector<std::string> problems;
  for (const auto& [name, entry] : manifest.files) {
    std::string problem = file_problem(folder + "/" + name, entry, progress);
    if (!problem.empty()) problems.push_back(std::move(problem));
  }
  const std::string folder_name = std::filesystem::path(folder).filename().string();
  const std::optional<int64_t> named_step = step_of_name(folder_name);
  if (named_step && *named_step != manifest.step)
    problems.push_back(folder + ": its manifest says step " + std::to_string(manifest.step) +
                       ": the folder was renamed");
  return problems;
}

// Compared before anything is read: targets and file must have the same tensors, of the same types and shapes.
struct Comparison {
  std::vector<const TensorTarget*> agreeing;
  std::vector<std::string> missing, different, unused;
};

Comparison compare(const std::vector<TensorTarget>& targets, const std::vector<h5::DatasetInfo>& stored) {
  Comparison result;
  std::map<std::string, const h5::DatasetInfo*> unclaimed;
  for (const h5::DatasetInfo& set : stored) unclaimed[set.name] = &set;
  for (const TensorTarget& target : targets) {
    const auto found = unclaimed.find(target.name);
    if (found == unclaimed.end()) {
      result.missing.push_back(target.name);
      continue;
    }
    const h5::DatasetInfo& set = *found->second;
    if (set.type == target.type && set.shape == target.shape)
      result.agreeing.push_back(&target);
    else
      result.different.push_back(target.name + " (file: " + described(set.type, set.shape) +
                                 ", wanted: " + described(target.type, target.shape) + ")");
    unclaimed.erase(found);
  }
  for (const auto& [name, set] : unclaimed) result.unused.push_back(name);
  return result;
}

}  // namespace

std::vector<std::string> verify_checkpoint(const std::string& folder, const Progress& progress) {
  try {
    return problems_of(folder, read_manifest(folder), progress);
  } catch (const UserError& error) {
    return {error.what()};
  }
}

Checkpoint Checkpoint::open(const std::string& folder) {
  Checkpoint checkpoint;
  checkpoint.folder_ = folder;
  checkpoint.manifest_ = read_manifest(folder);
  const std::vector<std::string> problems = problems_of(folder, checkpoint.manifest_, nullptr);
  if (!problems.empty())
    throw UserError(ExitCode::kBadData,
                    joined(problems) + ". Use another checkpoint of the run, or a copy of this one.");
  checkpoint.model_info_ = read_json(checkpoint.open_file(kModelFile), "info", folder + "/" + kModelFile);
  return checkpoint;
}

h5::File Checkpoint::open_file(const std::string& name) const {
  if (manifest_.files.count(name) == 0)
    throw UserError(ExitCode::kBadData,
                    folder_ + ": holds no " + name +
                        (name == kOptimizerFile ? " (it was kept for its score, as `best`): training can start "
                                                  "from its weights (train.init_from), not go on from it"
                                                : ""));
  return h5::File::open(folder_ + "/" + name);
}

nlohmann::json Checkpoint::train_state() const {
  return read_json(open_file(kOptimizerFile), "state", folder_ + "/" + kOptimizerFile);
}

std::vector<h5::DatasetInfo> Checkpoint::model_tensors() const { return tensors_of(open_file(kModelFile)); }

std::vector<char> Checkpoint::read_model_tensor(const std::string& name) const {
  const h5::File file = open_file(kModelFile);
  const h5::DatasetInfo set = file.info(kTensors + name);
  std::vector<char> bytes(static_cast<size_t>(set.byte_count()));
  file.read(set.name, set.type, bytes.data());
  return bytes;
}

LoadReport Checkpoint::load(const std::string& name, const std::vector<TensorTarget>& targets, bool partly) const {
  const h5::File file = open_file(name);
  Comparison sides = compare(targets, tensors_of(file));
  if (!partly && !(sides.missing.empty() && sides.different.empty() && sides.unused.empty())) {
    std::string message = folder_ + "/" + name + ": not the tensors of this configuration.";
    if (!sides.missing.empty()) message += " Not in the file: " + joined(sides.missing) + ".";
    if (!sides.unused.empty()) message += " Only in the file: " + joined(sides.unused) + ".";
    if (!sides.different.empty()) message += " Different: " + joined(sides.different) + ".";
    throw UserError(ExitCode::kBadData,
                    message + " Give the model.* keys and pairs it was trained with (`hyperx inspect` shows them).");
  }
  for (const TensorTarget* target : sides.agreeing) file.read(kTensors + target->name, target->type, target->data);
  LoadReport report{std::move(sides.missing), std::move(sides.unused)};
  report.missing.insert(report.missing.end(), sides.different.begin(), sides.different.end());
  return report;
}

}  // namespace hyperx::train

#include "trainer/checkpoint/checkpoint.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <numeric>

#include "common/digest.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/json.h"
#include "common/read_error.h"
#include "trainer/checkpoint/manifest_text.h"

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

template <class Value>
void require_finite(const TensorTarget& target, const std::string& path) {
  const auto* const values = static_cast<const Value*>(target.data);
  const auto* const end =
      values + std::accumulate(target.shape.begin(), target.shape.end(), int64_t{1}, std::multiplies());
  const auto* const found = std::find_if(values, end, [](Value value) { return !std::isfinite(value); });
  if (found == end) return;
  throw UserError(ExitCode::kBadData, path + ": value " + std::to_string(found - values) + " of " + target.name +
                                          " is " + std::to_string(*found) +
                                          ": nothing can be computed with it; take another checkpoint");
}

void require_finite(const TensorTarget& target, const std::string& path) {
  if (target.type == h5::Type::kFloat32) require_finite<float>(target, path);
  if (target.type == h5::Type::kFloat64) require_finite<double>(target, path);
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
  if (::stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return path + ": " + errno_text();
    fail_to_read(path, "cannot be examined");
  }
  if (status.st_size != entry.bytes)
    return path + ": has " + std::to_string(status.st_size) + " bytes, its manifest says " +
           std::to_string(entry.bytes);
  if (progress) progress(path, 0, entry.bytes);
  const bool equal = xxh128_of_file(path) == entry.xxh128;
  if (progress) progress(path, entry.bytes, entry.bytes);
  return equal ? "" : path + ": its XXH128 is not the one in its manifest: some of its bytes were changed";
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

// The text of its manifest, to notice a change; "": there is none.
std::string manifest_now(const std::string& folder) {
  const std::string path = folder + "/" + kManifestFile;
  try {
    return kind_of(path) == PathKind::kFile ? read_file(path) : "";
  } catch (const ReadError&) {
    throw;
  } catch (const UserError&) {  // deleted in between
    return "";
  }
}

}  // namespace

std::vector<std::string> verify_checkpoint(const std::string& folder, const Progress& progress) {
  for (;;) {
    const std::string text = manifest_now(folder);
    std::vector<std::string> problems;
    try {
      problems = problems_of(folder, read_manifest(folder), progress);
    } catch (const ReadError&) {
      throw;
    } catch (const UserError& error) {
      problems = {error.what()};
    }
    if (problems.empty() || manifest_now(folder) == text) return problems;
  }
}

Checkpoint Checkpoint::open(const std::string& folder) {
  for (;;) {
    const std::string text = manifest_now(folder);
    try {
      return Checkpoint(folder);
    } catch (const ReadError&) {
      throw;
    } catch (const std::runtime_error&) {  // UserError, or SystemError of HDF5
      if (manifest_now(folder) == text) throw;
    }
  }
}

Checkpoint::Checkpoint(const std::string& folder) : folder_(folder), manifest_(read_manifest(folder)) {
  const std::vector<std::string> problems = problems_of(folder, manifest_, nullptr);
  if (!problems.empty())
    throw UserError(ExitCode::kBadData,
                    joined(problems) + ". Use another checkpoint of the run, or a copy of this one.");
  for (const auto& [name, entry] : manifest_.files) files_.emplace(name, h5::File::open(folder + "/" + name));
  model_info_ = read_json(file(kModelFile), "info", folder + "/" + kModelFile);
}

Checkpoint open_checkpoint(const std::string& run_or_checkpoint) {
  for (;;) {
    const std::string folder = resolve_checkpoint(run_or_checkpoint);
    try {
      return Checkpoint::open(folder);
    } catch (const UserError&) {
      if (kind_of(folder) != PathKind::kNothing) throw;
    }
  }
}

const h5::File& Checkpoint::file(const std::string& name) const {
  const auto found = files_.find(name);
  if (found == files_.end())
    throw UserError(ExitCode::kBadData,
                    folder_ + ": holds no " + name +
                        (name == kOptimizerFile ? " (it was kept for its score, as `best`): training can start "
                                                  "from its weights (train.init_from), not go on from it"
                                                : ""));
  return found->second;
}

nlohmann::json Checkpoint::train_state() const {
  return read_json(file(kOptimizerFile), "state", folder_ + "/" + kOptimizerFile);
}

std::vector<h5::DatasetInfo> Checkpoint::model_tensors() const { return tensors_of(file(kModelFile)); }

std::vector<char> Checkpoint::read_model_tensor(const std::string& name) const {
  const h5::File& model = file(kModelFile);
  const h5::DatasetInfo set = model.info(kTensors + name);
  std::vector<char> bytes(static_cast<size_t>(set.byte_count()));
  model.read(set.name, set.type, bytes.data());
  return bytes;
}

LoadReport Checkpoint::load(const std::string& name, const std::vector<TensorTarget>& targets, bool partly) const {
  const h5::File& stored = file(name);
  Comparison sides = compare(targets, tensors_of(stored));
  if (!partly && !(sides.missing.empty() && sides.different.empty() && sides.unused.empty())) {
    std::string message = folder_ + "/" + name + ": not the tensors of this configuration.";
    if (!sides.missing.empty()) message += " Not in the file: " + joined(sides.missing) + ".";
    if (!sides.unused.empty()) message += " Only in the file: " + joined(sides.unused) + ".";
    if (!sides.different.empty()) message += " Different: " + joined(sides.different) + ".";
    throw UserError(ExitCode::kBadData,
                    message + " Give the model.* keys and pairs it was trained with (`hyperx inspect` shows them).");
  }
  for (const TensorTarget* target : sides.agreeing) {
    stored.read(kTensors + target->name, target->type, target->data);
    require_finite(*target, folder_ + "/" + name);
  }
  LoadReport report{std::move(sides.missing), std::move(sides.unused)};
  report.missing.insert(report.missing.end(), sides.different.begin(), sides.different.end());
  return report;
}

}  // namespace hyperx::train

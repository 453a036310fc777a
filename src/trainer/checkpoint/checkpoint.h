#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/hdf5/hdf5_file.h"

// A checkpoint is a folder step-0005000/ with three files.
//
// model.h5: tensors/NAME, the trained tensors; info, JSON: label sets, pairs seen, config, digest and source of the
// encoder.
//
// optimizer.h5: tensors/NAME, moments and counts; state, JSON: step, best score, cursors. Only needed to continue
// training.
//
// manifest.json: format version, step, world size, config; size and XXH128 of each file, and a digest of itself.
// Written last.
//
// The same content gives the same bytes of model.h5 and optimizer.h5: they contain no times, no hosts and no folder
// except the encoder's.
namespace hyperx::train {

constexpr int kCheckpointFormat = 2;
constexpr const char* kModelFile = "model.h5";
constexpr const char* kOptimizerFile = "optimizer.h5";
constexpr const char* kManifestFile = "manifest.json";

// A tensor to write: row-major, on the host, not owned.
struct TensorRef {
  std::string name;
  h5::Type type;
  std::vector<int64_t> shape;
  const void* data;
  int64_t byte_count() const;
};

// The destination of a tensor that is read.
struct TensorTarget {
  std::string name;
  h5::Type type;
  std::vector<int64_t> shape;
  void* data;
};

struct CheckpointContent {
  int64_t step = 0;
  std::vector<TensorRef> model;
  std::vector<TensorRef> optimizer;
  nlohmann::json model_info;  // must not depend on host, time or run folder: model.h5 is compared bit by bit
  nlohmann::json train_state;
  nlohmann::json manifest;      // further keys of the manifest: config (text), world_size, ...
  std::optional<double> score;  // of this step's evaluation, larger is better; selects `best`. Not finite: none.
  std::string score_of;         // what was scored: only scores with the same value are compared
};

// One file of a checkpoint as its manifest lists it.
struct FileEntry {
  int64_t bytes = 0;
  std::string xxh128;
};

struct Manifest {
  int64_t step = 0;
  std::optional<double> score;
  std::string score_of;  // empty: written by a version that did not record it
  std::map<std::string, FileEntry> files;
  nlohmann::json all;  // the whole object, with world_size, config, program
  bool has_optimizer() const { return files.count(kOptimizerFile) > 0; }
};

// "step-0005000", and back; nullopt for any other name (such as step-0005000.tmp).
std::string checkpoint_name(int64_t step);
std::optional<int64_t> step_of_name(const std::string& name);

// Saving has two parts, both on rank 0: the values of other ranks are gathered before. Both throw SystemError and leave
// the clean-up to the caller. Part one writes, hashes and syncs the files.
std::map<std::string, FileEntry> write_checkpoint_files(const std::string& folder, const CheckpointContent& content);
// Part two writes the manifest, syncs the folder, renames `folder` to `final_folder` (which it replaces) and syncs the
// parent.
void commit_checkpoint(const std::string& folder, const std::string& final_folder, const CheckpointContent& content,
                       const std::map<std::string, FileEntry>& files);

// UserError: 65 naming the problem (not JSON, its own digest, format version); 66 missing.
Manifest read_manifest(const std::string& folder);
// Rewrites the manifest without the optimizer, then removes the optimizer's file. May be repeated, also after a crash
// in between.
void drop_optimizer(const std::string& folder);

using Progress = std::function<void(const std::string& file, int64_t bytes_done, int64_t bytes_all)>;
// Problems of a checkpoint, one per line; empty if sizes and digests of all files are right. Reads every byte.
std::vector<std::string> verify_checkpoint(const std::string& folder, const Progress& progress = nullptr);

// Differences that a non-strict load accepted.
struct LoadReport {
  std::vector<std::string> missing;  // wanted, not in the file (or of another shape): left unchanged
  std::vector<std::string> unused;   // in the file, not wanted
};

// A checkpoint opened for reading, after its files are verified.
class Checkpoint {
 public:
  // UserError: 65 damaged, listing the problems; 66 missing.
  static Checkpoint open(const std::string& folder);

  const std::string& folder() const { return folder_; }
  int64_t step() const { return manifest_.step; }
  const Manifest& manifest() const { return manifest_; }
  const nlohmann::json& model_info() const { return model_info_; }
  nlohmann::json train_state() const;                  // UserError (65) if the optimizer was dropped
  std::vector<h5::DatasetInfo> model_tensors() const;  // names without "tensors/"
  h5::File open_file(const std::string& name) const;

  // Strict: names, types and shapes of both sides must be equal; otherwise UserError (65) listing every difference, and
  // nothing is read. Partial: what agrees is read, the rest is reported.
  void load_model(const std::vector<TensorTarget>& targets) const { load(kModelFile, targets, false); }
  void load_optimizer(const std::vector<TensorTarget>& targets) const { load(kOptimizerFile, targets, false); }
  LoadReport load_model_partly(const std::vector<TensorTarget>& targets) const {
    return load(kModelFile, targets, true);
  }
  // One tensor of the model, as its stored bytes.
  std::vector<char> read_model_tensor(const std::string& name) const;

 private:
  LoadReport load(const std::string& file, const std::vector<TensorTarget>& targets, bool partly) const;

  std::string folder_;
  Manifest manifest_;
  nlohmann::json model_info_;
};

// The newest whole checkpoint of a folder, and the newer ones that are damaged.
struct FoundCheckpoint {
  std::string folder;  // empty: none
  int64_t step = 0;
  struct Damaged {
    std::string folder, reason;
  };
  std::vector<Damaged> damaged;
};
// `checkpoints`: RUN/checkpoints. Verifies from the newest to the oldest. `to_resume`: skips those without an
// optimizer. UserError (65) if one has another format version.
FoundCheckpoint find_latest_whole(const std::string& checkpoints, bool to_resume = true);
// Renames the damaged checkpoints to step-N.damaged, so that they do not count as kept or block a name; logs a warning
// for each.
void set_aside_damaged(const FoundCheckpoint& found);

// The run folder of RUN/checkpoints/step-N; of a checkpoint elsewhere, the folder that it lies in.
std::string run_of_checkpoint(const std::string& checkpoint);

// A checkpoint folder itself; of a run, its `best`, else its `latest`, else its newest. UserError (66): none.
std::string resolve_checkpoint(const std::string& run_or_checkpoint);

}  // namespace hyperx::train

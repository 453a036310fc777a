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
// model.h5: tensors/NAME, what was trained; info, JSON: label sets, pairs seen, config, digest and source of the
// encoder.
//
// optimizer.h5: tensors/NAME, moments and counts; state, JSON: step, best score, cursors. Only needed to go on
// training.
//
// manifest.json: format version, step, world size, config; size and XXH128 of each file and of itself. Written last.
//
// The same content gives the same bytes of model.h5 and optimizer.h5: no times and no hosts are in them, nor any folder
// but the encoder's.
namespace hyperx::train {

constexpr int kCheckpointFormat = 2;
constexpr const char* kModelFile = "model.h5";
constexpr const char* kOptimizerFile = "optimizer.h5";
constexpr const char* kManifestFile = "manifest.json";

// A tensor to be written: row-major, on the host, borrowed.
struct TensorRef {
  std::string name;
  h5::Type type;
  std::vector<int64_t> shape;
  const void* data;
  int64_t byte_count() const;
};

// Where a tensor is to be read to.
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
  std::optional<double> score;  // of this step's evaluation, larger is better; chooses `best`. Not finite: none.
  std::string score_of;         // what was scored: only scores of the same are compared
};

// One file of a checkpoint as its manifest lists it.
struct FileEntry {
  int64_t bytes = 0;
  std::string xxh128;
};

struct Manifest {
  int64_t step = 0;
  std::optional<double> score;
  std::string score_of;  // empty: a version that did not say so
  std::map<std::string, FileEntry> files;
  nlohmann::json all;  // the whole object, with world_size, config, program
  bool has_optimizer() const { return files.count(kOptimizerFile) > 0; }
};

// "step-0005000", and back; nullopt for any other name (such as step-0005000.tmp).
std::string checkpoint_name(int64_t step);
std::optional<int64_t> step_of_name(const std::string& name);

// Writing is in two parts, by rank 0 alone: what other ranks hold is gathered before. Both throw SystemError and leave
// the clearing up to the caller. The first: the files, written, hashed and synced.
std::map<std::string, FileEntry> write_checkpoint_files(const std::string& folder, const CheckpointContent& content);
// The second: the manifest, sync of the folder, rename from `folder` to `final_folder` (which it replaces), sync of the
// parent.
void commit_checkpoint(const std::string& folder, const std::string& final_folder, const CheckpointContent& content,
                       const std::map<std::string, FileEntry>& files);

// UserError (65) naming what does not hold: not JSON, own digest, format version. (66): missing.
Manifest read_manifest(const std::string& folder);
// Rewrites the manifest without the optimizer, then removes that file. Harmless to repeat, also after a crash in
// between.
void drop_optimizer(const std::string& folder);

using Progress = std::function<void(const std::string& file, int64_t bytes_done, int64_t bytes_all)>;
// What is wrong with a checkpoint, a line each; empty when sizes and digests of all files hold. Reads every byte.
std::vector<std::string> verify_checkpoint(const std::string& folder, const Progress& progress = nullptr);

// What was loaded by less than strict rules.
struct LoadReport {
  std::vector<std::string> missing;  // wanted, not in the file (or of another shape): left as they were
  std::vector<std::string> unused;   // in the file, not wanted
};

// A checkpoint opened for reading; its files are verified first.
class Checkpoint {
 public:
  // UserError (65) when damaged, listing what is; (66) missing.
  static Checkpoint open(const std::string& folder);

  const std::string& folder() const { return folder_; }
  int64_t step() const { return manifest_.step; }
  const Manifest& manifest() const { return manifest_; }
  const nlohmann::json& model_info() const { return model_info_; }
  nlohmann::json train_state() const;                  // UserError (65) when the optimizer was dropped
  std::vector<h5::DatasetInfo> model_tensors() const;  // names without "tensors/"
  h5::File open_file(const std::string& name) const;

  // Strict: names, types and shapes of both sides must be equal; else UserError (65) that lists every difference and
  // nothing is read. Partial: what agrees is read, the rest reported.
  void load_model(const std::vector<TensorTarget>& targets) const { load(kModelFile, targets, false); }
  void load_optimizer(const std::vector<TensorTarget>& targets) const { load(kOptimizerFile, targets, false); }
  LoadReport load_model_partly(const std::vector<TensorTarget>& targets) const {
    return load(kModelFile, targets, true);
  }
  // One tensor of the model, its elements as they are stored.
  std::vector<char> read_model_tensor(const std::string& name) const;

 private:
  LoadReport load(const std::string& file, const std::vector<TensorTarget>& targets, bool partly) const;

  std::string folder_;
  Manifest manifest_;
  nlohmann::json model_info_;
};

// A folder's newest checkpoint that is whole, and the newer ones that are not.
struct FoundCheckpoint {
  std::string folder;  // empty: there is none
  int64_t step = 0;
  struct Damaged {
    std::string folder, reason;
  };
  std::vector<Damaged> damaged;
};
// `checkpoints`: RUN/checkpoints. Verifies from the newest down. `to_resume`: those without an optimizer do not count.
// UserError (65) where one is of another format version.
FoundCheckpoint find_latest_whole(const std::string& checkpoints, bool to_resume = true);
// Renames damaged ones to step-N.damaged, so that they neither count as kept nor stand in the way; warns of each.
void set_aside_damaged(const FoundCheckpoint& found);

// A checkpoint folder itself, or a run's `best`, else its `latest`, else its newest. UserError (66) when there is none.
std::string resolve_checkpoint(const std::string& run_or_checkpoint);

}  // namespace hyperx::train

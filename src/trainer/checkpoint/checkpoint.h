#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/errors.h"
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
  // Checkpoints of earlier steps are known to be good: a step after them had a finite gradient. The newest of them is
  // kept whatever keep_last says. 0: unknown.
  int64_t good_before = 0;
  std::string synced_first;  // a file (metrics.jsonl) that must be on the disk before this checkpoint counts; "": none
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

// UserError: 65 naming the problem (not JSON, its own digest, format version); 66 missing. ReadError.
Manifest read_manifest(const std::string& folder);
// Rewrites the manifest without the optimizer, then removes the optimizer's file. May be repeated, also after a crash
// in between. `why` is recorded in the manifest.
void drop_optimizer(const std::string& folder, const std::string& why = "kept for its score");

using Progress = std::function<void(const std::string& file, int64_t bytes_done, int64_t bytes_all)>;
// Problems of a checkpoint, one per line; empty if sizes and digests of all files are right. Reads every byte, and all
// of them again if the checkpoint was replaced or lost its optimizer meanwhile. ReadError: nothing is known about it.
std::vector<std::string> verify_checkpoint(const std::string& folder, const Progress& progress = nullptr);

// Differences that a non-strict load accepted.
struct LoadReport {
  std::vector<std::string> missing;  // wanted, not in the file (or of another shape): left unchanged
  std::vector<std::string> unused;   // in the file, not wanted
};

// A checkpoint opened for reading, after its files are verified. They stay open: a training that deletes the checkpoint
// meanwhile does no harm.
class Checkpoint {
 public:
  // UserError: 65 damaged, listing the problems; 66 missing. ReadError, or SystemError of HDF5 (74): unreadable now.
  static Checkpoint open(const std::string& folder);

  const std::string& folder() const { return folder_; }
  int64_t step() const { return manifest_.step; }
  const Manifest& manifest() const { return manifest_; }
  const nlohmann::json& model_info() const { return model_info_; }
  nlohmann::json train_state() const;                   // UserError (65) if the optimizer was dropped
  std::vector<h5::DatasetInfo> model_tensors() const;   // names without "tensors/"
  const h5::File& file(const std::string& name) const;  // UserError (65): it has no such file

  // Strict: names, types and shapes of both sides must be equal; otherwise UserError (65) listing every difference, and
  // nothing is read. Partial: what agrees is read, the rest is reported. UserError (65): a value is not finite.
  void load_model(const std::vector<TensorTarget>& targets) const { load(kModelFile, targets, false); }
  void load_optimizer(const std::vector<TensorTarget>& targets) const { load(kOptimizerFile, targets, false); }
  LoadReport load_model_partly(const std::vector<TensorTarget>& targets) const {
    return load(kModelFile, targets, true);
  }
  // One tensor of the model, as its stored bytes.
  std::vector<char> read_model_tensor(const std::string& name) const;

 private:
  explicit Checkpoint(const std::string& folder);
  LoadReport load(const std::string& file, const std::vector<TensorTarget>& targets, bool partly) const;

  std::string folder_;
  Manifest manifest_;
  std::map<std::string, h5::File> files_;
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
  bool without_optimizer = false;  // newer ones are whole, but a run cannot be resumed from them
};
// `checkpoints`: RUN/checkpoints. Verifies from the newest to the oldest. `to_resume`: skips those without an
// optimizer. UserError (65) if one has another format version. ReadError: one cannot be read now.
FoundCheckpoint find_latest_whole(const std::string& checkpoints, bool to_resume = true);
// Renames the damaged checkpoints to step-N.damaged (or .damaged-2, ...), so that they do not count as kept or block a
// name; logs a warning for each.
void set_aside_damaged(const FoundCheckpoint& found);

// The run folder of RUN/checkpoints/step-N; of a checkpoint elsewhere, the folder that it lies in.
std::string run_of_checkpoint(const std::string& checkpoint);

// The checkpoint folder that a run resumes from, with the damaged newer ones set aside; "": nothing was ever saved
// here. UserError: 65 there are checkpoints, but a run can resume from none of them; 74 one cannot be read now. Nothing
// is changed then.
std::string take_resume_point(const std::string& checkpoints);
// The error (65) of a run whose checkpoints are lost; `why` ends without a full stop.
UserError nothing_to_resume(const std::string& checkpoints, const std::string& why);

// PATH.WORD, or PATH.WORD-2, ... if that exists.
std::string unused_name(const std::string& path, const std::string& word);
// Renames `path` to such a name, which it returns. SystemError (74).
std::string set_aside(const std::string& path, const std::string& word);

// After a divergence: sets aside as step-N.diverged the checkpoints from step `good_before` on, whose weights give no
// finite gradient, and updates `latest` and `best`. Returns the newest checkpoint left to resume from; "": none.
std::string drop_diverged(const std::string& checkpoints, int64_t good_before, int keep_best);

// A checkpoint folder itself; of a run, the best one, else the newest. The scores that the checkpoints recorded decide,
// not the text of `best`; a warning is logged where the two, or `latest` and the newest, differ. UserError: 66 there is
// none; 65 `best` names none, and no score says which is meant. ReadError.
std::string resolve_checkpoint(const std::string& run_or_checkpoint);
// Resolves and opens; looks again if a training deleted it in between.
Checkpoint open_checkpoint(const std::string& run_or_checkpoint);

}  // namespace hyperx::train

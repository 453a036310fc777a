#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/digest.h"
#include "data/corpus/corpus.h"
#include "model/comm/communicator.h"
#include "model/model.h"
#include "trainer/checkpoint/checkpoint.h"

// Converts between a model in memory and a checkpoint on disk.
namespace hyperx::train {

// A model and its training run, as a checkpoint describes them in addition to the tensors.
struct ModelInfo {
  Config config;
  data::TaskSet tasks;
  std::vector<std::string> languages;
  std::vector<data::Pair> trained_pairs;
  std::string encoder_source, tokenizer_digest, corpus_digest;
  std::string label_position = "first";  // of the corpus it was trained on (CorpusIndex)
  // The runs that the method builds on (MethodSpec::needs), as load_needed_runs() found them.
  struct NeededRun {
    std::string checkpoint, xxh128;  // folder; digest of its model.h5
    std::vector<std::string> languages;
  };
  std::vector<NeededRun> needed = {};
  FutureDigest encoder_digest = known_digest("");

  // The record in model.h5: what evaluation and prediction need. Of `config` it holds model.*, the method's options,
  // data.max_subwords, data.corpus and train.seed. from_json also reads the record of version 0.1.0, which was the
  // whole configuration. UserError (65) naming `checkpoint` if a field is missing or a later version wrote it.
  // Paths are stored as config::stored_path() says; `run`: the run folder; `checkpoint`: one of its checkpoints.
  nlohmann::json to_json(const std::string& run) const;
  static ModelInfo from_json(const nlohmann::json& object, const std::string& checkpoint);

  // The remaining settings, in optimizer.h5, which a resumed run is compared with. Without run.*, so the same run gives
  // the same bytes in any folder.
  nlohmann::json settings_to_json() const;
};

// Complete information about a checkpoint's run, for resuming it. UserError (65) as above and if its optimizer was
// dropped; (78) if it was trained with an option that this version does not have.
ModelInfo saved_run(const Checkpoint& checkpoint);

// Tensors on the host, as the checkpoint writer takes them. Tensors that are already there are not copied.
struct HostTensors {
  explicit HostTensors(const model::NamedTensors& tensors);
  std::vector<at::Tensor> owners;  // keep the data of `refs` alive
  std::vector<TensorRef> refs;
};

// Reads tensors of a checkpoint into `tensors`, on any device. `load` is a bound Checkpoint::load_model or the like.
void load_tensors(const model::NamedTensors& tensors,
                  const std::function<void(const std::vector<TensorTarget>&)>& load);

// What rank 0 writes: the trained tensors, and their moments as "m/NAME" and "v/NAME"; views of the live tensors, or,
// on rank 0, copies of those that are sharded over ranks. Collective.
model::NamedTensors saved_values(model::ParameterSet& parameters, comm::Communicator& communicator);
model::NamedTensors saved_moments(model::ParameterSet& parameters, comm::Communicator& communicator);
// `load` fills tensors by name.
using LoadTensors = std::function<void(const std::vector<TensorTarget>&)>;
void load_values(model::ParameterSet& parameters, const LoadTensors& load);
void load_moments(model::ParameterSet& parameters, const LoadTensors& load);

// Resolves train.precision, the type of matrix products, to "fp32", "bf16" or "fp64", the same on all ranks. auto takes
// `before`, the choice of an earlier start of the run; without one, bf16 if every rank's device has fast bf16 products.
// Collective. UserError (78) on all ranks: bf16 where a rank's GPU has no flash attention.
std::string agreed_precision(const std::string& precision, const std::string& before, at::Device device,
                             comm::Communicator& communicator);
at::ScalarType compute_type(const std::string& agreed_precision);
// For train.deterministic: makes LibTorch on a GPU use kernels with a fixed summation order. Call it before any
// computation.
void set_determinism(const TrainConfig& config, at::Device device);

// The runs that the method needs, each from its best checkpoint if it has one. Records them in `info`, whose languages
// are then also theirs. UserError (65, 66): one is missing, damaged, was trained on another encoder, or is not what
// `info` recorded before of a language that the model was trained on.
// With `ranks`, rank 0 says which checkpoints these are; then it is collective.
std::vector<model::TrainedRun> load_needed_runs(ModelInfo& info, comm::Communicator* ranks = nullptr);

// A model loaded from a checkpoint.
struct LoadedModel {
  ModelInfo info;
  std::string checkpoint;  // folder
  int64_t step = 0;
  std::string checkpoint_digest;  // of model.h5
  std::unique_ptr<model::Model> model;
};

// UserError (65): one of `now` differs from the run that `trained` recorded for a language that it was trained on.
void require_same_needed(const ModelInfo& trained, const std::vector<ModelInfo::NeededRun>& now);

// Values of options by key, as text.
using OptionTexts = std::map<std::string, std::string>;

// The encoder that a checkpoint's model needs: `given`, or if that is empty the one that it was trained on. UserError
// (66): the latter is not there.
std::string encoder_of(const ModelInfo& info, const std::string& given, const std::string& checkpoint);
// `encoder`: overrides the encoder's path in the checkpoint; empty: that path. `options`: override those of the model.
// UserError (65, 66): the encoder is missing, or it is not the one that the model was trained on (the digests differ).
LoadedModel load_model(const Checkpoint& checkpoint, const std::string& encoder, const OptionTexts& options,
                       at::ScalarType compute, at::Device device);

}  // namespace hyperx::train

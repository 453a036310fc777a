#pragma once

#include <functional>
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

// Between a model in memory and the checkpoint on disk.
namespace hyperx::train {

// A model and the run that trains it, as a checkpoint describes them beside the tensors.
struct ModelInfo {
  Config config;
  data::TaskSet tasks;
  std::vector<std::string> languages;
  std::vector<data::Pair> trained_pairs;
  std::string encoder_source, tokenizer_digest, corpus_digest;
  FutureDigest encoder_digest = known_digest("");

  // The record in model.h5: what evaluating and predicting need. Of `config` it holds model.*, the method's options,
  // data.max_subwords, data.corpus and train.seed. Also reads the record of version 0.1.0, which was the whole
  // configuration. UserError (65) naming `origin` where a field is missing or a later version wrote it.
  nlohmann::json to_json() const;
  static ModelInfo from_json(const nlohmann::json& object, const std::string& origin);

  // The rest, in optimizer.h5: what a resumed run is compared with. run.* is left out: the same run gives the same
  // bytes in any folder.
  nlohmann::json settings_to_json() const;
};

// All of a checkpoint's run, to go on with it. UserError (65) as above and where its optimizer was dropped; (78) where
// it was trained with an option that this version does not have.
ModelInfo saved_run(const Checkpoint& checkpoint);

// Tensors as the checkpoint writer takes them: on the host. What lies there already is not copied.
struct HostTensors {
  explicit HostTensors(const model::NamedTensors& tensors);
  std::vector<at::Tensor> owners;  // keep `refs` alive
  std::vector<TensorRef> refs;
};

// Reads tensors of a checkpoint into `tensors`, wherever these lie. `load` is Checkpoint::load_model and the like,
// bound.
void load_tensors(const model::NamedTensors& tensors,
                  const std::function<void(const std::vector<TensorTarget>&)>& load);

// What rank 0 writes: the trained tensors, and their moments as "m/NAME" and "v/NAME"; views of the live tensors, or
// copies of those that are shared out over ranks, on rank 0. Collective.
model::NamedTensors saved_values(model::ParameterSet& parameters, comm::Communicator& communicator);
model::NamedTensors saved_moments(model::ParameterSet& parameters, comm::Communicator& communicator);
// `load` fills tensors by name.
using LoadTensors = std::function<void(const std::vector<TensorTarget>&)>;
void load_values(model::ParameterSet& parameters, const LoadTensors& load);
void load_moments(model::ParameterSet& parameters, const LoadTensors& load);

// The type that products are computed in, by train.precision: "fp32", "bf16" or "fp64", the same on all ranks. auto is
// `before`, what an earlier start of the run took, or else bf16 where every rank's device multiplies it fast.
// Collective. UserError (78) on all ranks: bf16 where a rank's GPU has no flash attention.
std::string agreed_precision(const std::string& precision, const std::string& before, at::Device device,
                             comm::Communicator& communicator);
at::ScalarType compute_type(const std::string& agreed_precision);
// train.deterministic: on a GPU LibTorch then takes kernels that add in one order. Before anything is computed.
void set_determinism(const TrainConfig& config, at::Device device);

// The runs that the method needs, best checkpoint first. UserError (65, 66): one is missing, damaged, or was trained on
// another encoder.
std::vector<model::TrainedRun> load_needed_runs(const Config& config, const FutureDigest& encoder_digest);

// A model as a checkpoint holds it.
struct LoadedModel {
  ModelInfo info;
  std::string checkpoint;  // folder
  int64_t step = 0;
  std::string checkpoint_digest;  // of model.h5
  std::unique_ptr<model::Model> model;
};

// `encoder`: overrides the path of the encoder in the checkpoint; empty: that path. UserError (65, 66) where the
// checkpoint is damaged, the encoder is missing, or it is another one than the model was trained on (digests differ).
LoadedModel load_model(const std::string& run_or_checkpoint, const std::string& encoder, at::ScalarType compute,
                       at::Device device);

}  // namespace hyperx::train

#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "data/batch/batch.h"
#include "data/tasks/pair.h"
#include "data/tasks/task_set.h"
#include "model/encoder/encoder.h"
#include "model/figures.h"
#include "model/heads/head.h"
#include "model/methods/method.h"
#include "model/parameters/parameters.h"

namespace hyperx::model {

// A batch as tensors on the model's device.
struct PackedBatch {
  EncoderInput input;
  at::Tensor labels;  // [labels] int64, of the input's output rows; kNoLabel: ignored
  struct Part {
    int64_t pair;  // index in begin_step's list
    int64_t label_begin, label_end;
  };
  std::vector<Part> parts;
  at::Tensor words;         // [labels] int64, of trees: Batch::label_words; undefined: none
  at::Tensor label_counts;  // [parts] int64, of the whole mini-batches of the pairs, over all ranks
  at::Tensor dropout_keys;  // DropoutStream::table, on a GPU
};

// The numbers of a batch end to end, [values] int64, so that a single copy moves it to a device.
struct FlatBatch {
  at::Tensor values;
  // Values that pack() also needs on the host.
  int64_t tokens = 0, sentences = 0, labels = 0, keys = 0, longest = 0;
  std::vector<PairRows> pairs;
  std::vector<PackedBatch::Part> parts;
  bool tree = false;
};

struct ModelOptions {
  Config config;
  data::TaskSet tasks;
  std::vector<std::string> languages;
  at::ScalarType compute = at::kFloat;  // type of matrix products; master values are fp32 (fp64 if this is fp64)
  at::Device device = at::kCPU;
  comm::Communicator* ranks = nullptr;  // of a training run; must outlive the model
  std::vector<TrainedRun> needed = {};  // MethodSpec::needs
  std::vector<data::Pair> pairs = {};   // that the model is trained on
  int64_t steps = 0;                    // of the training run; 0: train.steps
};

// Encoder, method and heads together: computes losses and scores of a packed batch.
class Model {
 public:
  Model(const EncoderWeights& encoder, ModelOptions options);

  PackedBatch pack(const data::Batch& batch, const DropoutStream& dropout = {}) const;
  // The two steps of pack(): the numbers on the host (in pinned memory for a GPU), and views of them after the copy.
  FlatBatch flatten(const data::Batch& batch, const DropoutStream& dropout) const;
  PackedBatch views_of(const FlatBatch& flat, const at::Tensor& values, const at::Tensor& host_starts) const;
  // Sets the pairs of the next forward passes; with `training`, clears the gradients of everything that they use.
  // `step` keys the random draws of a method.
  void begin_step(const std::vector<data::Pair>& pairs, bool training, int64_t step = 0);

  // Mean over the step's pairs of (sum of the part's losses / label_count of its pair): the sum over ranks is the
  // step's loss; undefined: no row has a label. The batch's figures are added to `figures`, if given.
  at::Tensor loss(const PackedBatch& batch, const DropoutStream& dropout, at::Tensor* figures = nullptr,
                  std::vector<at::Tensor>* hidden_states = nullptr);
  // Without dropout and gradient, for each part's labelled rows: the best label, [labels of the part] int64; the loss,
  // [labels of the part]; the scores, [labels of the part, classes].
  std::vector<at::Tensor> predict(const PackedBatch& batch);
  std::vector<at::Tensor> losses(const PackedBatch& batch);
  std::vector<at::Tensor> logits(const PackedBatch& batch, std::vector<at::Tensor>* hidden_states = nullptr);
  // What `function` makes of each part, without dropout and gradient.
  using PartFunction = std::function<at::Tensor(const Head&, const HeadInput&, const PackedBatch::Part&)>;
  std::vector<at::Tensor> for_each_part(const PackedBatch& batch, std::vector<at::Tensor>* hidden_states,
                                        const PartFunction& function);

  ParameterSet& parameters() { return parameters_; }
  const ParameterSet& parameters() const { return parameters_; }
  Method& method() { return *method_; }
  const Method& method() const { return *method_; }
  const Encoder& encoder() const { return *encoder_; }
  const ModelOptions& options() const { return options_; }
  const std::vector<data::Pair>& step_pairs() const { return step_pairs_; }

 private:
  const Head& head_of(const PackedBatch::Part& part) const;
  HeadInput input_of(const PackedBatch& batch, const PackedBatch::Part& part, const at::Tensor& outputs,
                     const DropoutStream& dropout);

  ModelOptions options_;
  ParameterSet parameters_;
  std::unique_ptr<Encoder> encoder_;
  std::unique_ptr<Method> method_;
  EncoderTraining trains_;                              // of the encoder
  std::map<std::string, std::unique_ptr<Head>> heads_;  // by task
  std::vector<data::Pair> step_pairs_;
};

}  // namespace hyperx::model

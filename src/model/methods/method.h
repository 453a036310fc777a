#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "data/tasks/pair.h"
#include "data/tasks/task_set.h"
#include "model/comm/communicator.h"
#include "model/encoder/encoder_spec.h"
#include "model/methods/method_spec.h"
#include "model/ops/cpu/residual_norm.h"
#include "model/ops/linear.h"
#include "model/parameters/parameters.h"

namespace hyperx::model {

// Rows of one pair in a packed batch. `pair` is its index in the pairs given to Method::select.
struct PairRows {
  int64_t pair = 0;
  int64_t token_begin = 0, token_end = 0;
};

// A linear layer over a task's labels.
struct HeadWeights {
  at::Tensor weight, bias;  // [classes, hidden], [classes]
};

// The operands of a layer's end: layer output = norm(dropout(down(inner)) + residual), plus what a method adds.
struct LayerEnd {
  const Linear& down;                  // second feed-forward layer
  at::Tensor inner;                    // [rows, intermediate]
  SiteDropout dropout;                 // dropout of down's output
  at::Tensor residual;                 // [rows, hidden]
  const NormParameters& norm;          // the layer's LayerNorm
  const std::vector<PairRows>& pairs;  // in order, covering all rows
};

// What a method adds to an encoder. The base class adds nothing: plain BERT. A method is one folder of methods/ and one
// row of rows.inc; no code outside methods/ depends on which method runs.
class Method {
 public:
  Method() = default;
  virtual ~Method() = default;
  Method(const Method&) = delete;
  Method& operator=(const Method&) = delete;

  // Sets the pairs of the next forward passes; `training`: whether gradients will be computed. Marks the method's
  // parameters that the pairs use. Random draws depend only on train.seed and `step`.
  virtual void select([[maybe_unused]] const std::vector<data::Pair>& pairs, [[maybe_unused]] bool training,
                      [[maybe_unused]] int64_t step) {}
  // Whether all ranks must call select together, in evaluation too.
  virtual bool select_is_collective() const { return false; }
  // For a method whose select is collective: allocates all the memory that a training step's select needs, without the
  // other ranks, so that a rank with too little memory can say so before the others wait for it.
  virtual void reserve([[maybe_unused]] const std::vector<data::Pair>& pairs) {}

  // Changes the hidden states [rows, hidden] between the embeddings and the first layer.
  virtual at::Tensor after_embeddings(const at::Tensor& x, [[maybe_unused]] const std::vector<PairRows>& pairs) {
    return x;
  }
  // Hidden states after layer `layer`, [rows, hidden].
  virtual at::Tensor end_layer([[maybe_unused]] int64_t layer, const LayerEnd& end) { return plain_end(end); }
  // Changes the input of the masked-words decoder, [labels, hidden], for the pair at this index of select's list.
  virtual at::Tensor before_decoder([[maybe_unused]] int64_t pair, const at::Tensor& x) { return x; }
  // The last layer of a pair's labelled task, one per sample; the scores are the mean over the samples. Called only if
  // the method's row sets makes_heads.
  virtual std::vector<HeadWeights> head_samples(int64_t pair);
  // What else than the model's own values its output in a language depends on, for the signature of results; "":
  // nothing.
  virtual std::string built_on([[maybe_unused]] const std::string& language) const { return ""; }
  // This rank's part of a loss in addition to those of the pairs, once per step before their backward passes; the
  // ranks' parts add up. Undefined: none.
  virtual at::Tensor extra_loss() { return {}; }
  // What the sum of a pair's losses is divided by; `words`: its label count in the step, over all ranks, 0-dim int64.
  virtual at::Tensor loss_divisor(const at::Tensor& words) const { return words; }

 protected:
  static at::Tensor plain_end(const LayerEnd& end);
};

// The trained values of another run, one of MethodSpec::needs.
struct TrainedRun {
  std::string checkpoint;  // folder
  Config config;
  data::TaskSet tasks;
  std::vector<std::string> languages;
  std::map<std::string, at::Tensor> values;  // by name, on the host
  std::string xxh128 = {};                   // of its model.h5
};

// What a method is constructed from.
struct MethodContext {
  const Config& config;
  const EncoderSpec& spec;
  const data::TaskSet& tasks;
  const std::vector<std::string>& languages;
  at::ScalarType master = at::kFloat;   // type of trained values
  at::ScalarType compute = at::kFloat;  // type of products
  at::Device device = at::kCPU;
  comm::Communicator* ranks;              // of a training run; nullptr: a single process without communication
  const std::vector<TrainedRun>& needed;  // in the order of MethodSpec::needs
  const std::vector<data::Pair>& pairs;   // that the model is trained on
  int64_t steps;                          // of the training run
  ParameterSet& parameters;
};

struct MethodRow {
  MethodSpec spec;
  std::unique_ptr<Method> (*make)(const MethodContext& context);
};

// The row of model.method. UserError (78): no such method.
const MethodRow& find_method(const std::string& name);

}  // namespace hyperx::model

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

// Rows of one pair in a packed batch. `pair` is its place in the pairs given to Method::select.
struct PairRows {
  int64_t pair = 0;
  int64_t token_begin = 0, token_end = 0;
};

// A linear layer over a task's labels.
struct HeadWeights {
  at::Tensor weight, bias;  // [classes, hidden], [classes]
};

// All that a layer's end works on: layer output = norm(dropout(down(inner)) + residual), plus what a method adds.
struct LayerEnd {
  const Linear& down;                  // second feed-forward product
  at::Tensor inner;                    // [rows, intermediate]
  SiteDropout dropout;                 // of down's output
  at::Tensor residual;                 // [rows, hidden]
  const NormParameters& norm;          // the layer's LayerNorm
  const std::vector<PairRows>& pairs;  // in order, covering all rows
};

// What a method adds to an encoder. The base class adds nothing: plain BERT. A method is one folder of methods/ and one
// row of rows.inc; nothing outside methods/ asks which method runs.
class Method {
 public:
  Method() = default;
  virtual ~Method() = default;
  Method(const Method&) = delete;
  Method& operator=(const Method&) = delete;

  // The pairs of the next forward passes; `training` says whether gradients will be asked for. Marks what the pairs use
  // of the method's parameters. What is drawn at random depends on train.seed and `step` only.
  virtual void select([[maybe_unused]] const std::vector<data::Pair>& pairs, [[maybe_unused]] bool training,
                      [[maybe_unused]] int64_t step) {}
  // Whether all ranks must call select together, also in an evaluation.
  virtual bool select_is_collective() const { return false; }
  // Where select is collective: asks for all the memory that a training step's select needs, without the other ranks,
  // so that a rank that has too little can say so before the others wait for it.
  virtual void reserve([[maybe_unused]] const std::vector<data::Pair>& pairs) {}

  // Hidden states [rows, hidden] after the embeddings, as the first layer takes them.
  virtual at::Tensor after_embeddings(const at::Tensor& x, [[maybe_unused]] const std::vector<PairRows>& pairs) {
    return x;
  }
  // Hidden states after layer `layer`, [rows, hidden].
  virtual at::Tensor end_layer([[maybe_unused]] int64_t layer, const LayerEnd& end) { return plain_end(end); }
  // What the decoder of masked words multiplies, [labels, hidden], of the pair at this place of select's list.
  virtual at::Tensor before_decoder([[maybe_unused]] int64_t pair, const at::Tensor& x) { return x; }
  // The last layer of a pair's labelled task, once per sample; the scores are the mean over the samples. Asked for only
  // of a method whose row says makes_heads.
  virtual std::vector<HeadWeights> head_samples(int64_t pair);
  // This rank's part of a loss beside those of the pairs, once per step before their backward passes; the ranks' parts
  // add up. Undefined: none.
  virtual at::Tensor extra_loss() { return {}; }

 protected:
  static at::Tensor plain_end(const LayerEnd& end);
};

// What another run has trained, one of MethodSpec::needs.
struct TrainedRun {
  std::string checkpoint;  // folder
  Config config;
  data::TaskSet tasks;
  std::vector<std::string> languages;
  std::map<std::string, at::Tensor> values;  // by name, on the host
};

// What a method is made from.
struct MethodContext {
  const Config& config;
  const EncoderSpec& spec;
  const data::TaskSet& tasks;
  const std::vector<std::string>& languages;
  at::ScalarType master = at::kFloat;   // type of trained values
  at::ScalarType compute = at::kFloat;  // type of products
  at::Device device = at::kCPU;
  comm::Communicator* ranks;              // of a training; nullptr: the model is alone
  const std::vector<TrainedRun>& needed;  // in the order of MethodSpec::needs
  ParameterSet& parameters;
};

struct MethodRow {
  MethodSpec spec;
  std::unique_ptr<Method> (*make)(const MethodContext& context);
};

// The row of model.method. UserError (78): there is none.
const MethodRow& find_method(const std::string& name);

}  // namespace hyperx::model

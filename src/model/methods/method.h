#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "data/tasks/pair.h"
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
  // of the method's parameters.
  virtual void select([[maybe_unused]] const std::vector<data::Pair>& pairs, [[maybe_unused]] bool training) {}
  // Whether all ranks must call select together, also in an evaluation.
  virtual bool select_is_collective() const { return false; }

  // Hidden states after layer `layer`, [rows, hidden].
  virtual at::Tensor end_layer([[maybe_unused]] int64_t layer, const LayerEnd& end) { return plain_end(end); }

 protected:
  static at::Tensor plain_end(const LayerEnd& end);
};

// What a method is made from.
struct MethodContext {
  const Config& config;
  const EncoderSpec& spec;
  std::vector<std::string> tasks, languages;
  at::ScalarType master = at::kFloat;   // type of trained values
  at::ScalarType compute = at::kFloat;  // type of products
  at::Device device = at::kCPU;
  comm::Communicator* ranks;  // of a training; nullptr: the model is alone
  ParameterSet& parameters;
};

struct MethodRow {
  MethodSpec spec;
  std::unique_ptr<Method> (*make)(const MethodContext& context);
};

// The row of model.method. UserError (78): there is none.
const MethodRow& find_method(const std::string& name);

}  // namespace hyperx::model

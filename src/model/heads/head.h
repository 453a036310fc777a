#pragma once

#include <ATen/core/Reduction.h>
#include <ATen/core/Tensor.h>

#include <memory>

#include "common/config/config.h"
#include "data/tasks/task.h"
#include "model/encoder/encoder.h"
#include "model/encoder/encoder_weights.h"
#include "model/methods/method.h"
#include "model/ops/cpu/dropout.h"
#include "model/parameters/parameters.h"

namespace hyperx::model {

// The encoder's rows of one pair that carry labels.
struct HeadInput {
  at::Tensor rows;           // [labels, hidden] in the compute type
  Method& method;            // generates the head's weights or changes its input, if the method does so
  int64_t pair = 0;          // index of the rows' pair in Method::select
  SiteDropout dropout = {};  // dropout of these rows
  // Of trees: [labels] int64, the word of each row in its sentence; -1: the row that begins a sentence.
  at::Tensor words = {};
};

// The tensor part of a task: computes losses and predictions from hidden states. One file and one row of rows.inc per
// kind. The parameters of task t form the group "heads.t".
class Head {
 public:
  virtual ~Head() = default;
  // Scores of the classes, [labels, classes] fp32 (fp64 in tests). Of a tree: see Biaffine.
  virtual at::Tensor logits(const HeadInput& input) const = 0;
  // Cross-entropy with labels [labels] int64, where kNoLabel is ignored: the sum, or one value per row, [labels].
  virtual at::Tensor loss(const HeadInput& input, const at::Tensor& labels, at::Reduction::Reduction reduction) const;
  // The best class of each row, [labels] int64.
  virtual at::Tensor predict(const HeadInput& input) const;
};

// What a head is constructed from.
struct HeadContext {
  const data::Task& task;
  const EncoderWeights& weights;  // as loaded
  const Encoder& encoder;         // must outlive the head
  const Config& config;
  bool method_makes_heads;             // MethodSpec::makes_heads
  at::ScalarType master = at::kFloat;  // type of trained values
  at::Device device = at::kCPU;
  ParameterSet& parameters;

  // Adds a parameter to the task's group.
  at::Tensor add(const std::string& name, const at::Tensor& initial) const;
  // Draws an initial value from N(0, 0.02²).
  at::Tensor draw(const std::string& name, at::IntArrayRef shape) const;
  at::TensorOptions options() const { return at::TensorOptions().dtype(master).device(device); }
};

std::string group_of_head(const std::string& task);

// The head of the kind that the task names.
std::unique_ptr<Head> make_head(const HeadContext& context);

}  // namespace hyperx::model

#pragma once

#include <cstdint>
#include <vector>

#include "data/tasks/task_set.h"
#include "model/encoder/encoder_spec.h"
#include "model/heads/head_spec.h"
#include "model/methods/method_spec.h"

namespace hyperx::estimate {

// Numbers of values of what all methods share: encoder and heads.
struct ModelSizes {
  model::EncoderSpec encoder;
  data::TaskSet tasks;
  int64_t languages = 1;
  ModelConfig config = {};

  int64_t norm_values() const;  // the encoder's LayerNorms
  const model::MethodSpec& method() const { return model::find_method_spec(config.method); }
  model::HeadCosts head(const data::Task& task) const;
  int64_t shared_values() const;   // norms and all heads: what every method trains
  int64_t table_values() const;    // tables of the encoder: sub-words, positions, types
  int64_t linear_values() const;   // weights of the encoder's products, one layer
  int64_t encoder_values() const;  // tables and all layers, biases too, LayerNorms not
};

// Shared values and those of the method's blocks.
int64_t trained_values(const ModelSizes& model, const model::MethodCosts& costs);

}  // namespace hyperx::estimate

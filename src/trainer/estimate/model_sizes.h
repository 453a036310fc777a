#pragma once

#include <cstdint>
#include <vector>

#include "data/tasks/pair.h"
#include "model/encoder/encoder_spec.h"
#include "model/methods/method_spec.h"

namespace hyperx::estimate {

// Numbers of values of what all methods share: encoder and heads.
struct ModelSizes {
  model::EncoderSpec encoder;
  std::vector<data::TaskInfo> tasks;
  int64_t languages = 1;
  bool trained_decoder = false;  // model.mlm_decoder = trained

  int64_t norm_values() const;  // the encoder's LayerNorms
  int64_t head_values(const data::TaskInfo& task) const;
  int64_t shared_values() const;   // norms and all heads: what every method trains
  int64_t table_values() const;    // tables of the encoder: sub-words, positions, types
  int64_t linear_values() const;   // weights of the encoder's products, one layer
  int64_t encoder_values() const;  // tables and all layers, biases too, LayerNorms not
  bool has_masked_task() const;
};

// Shared values and those of the method's blocks.
int64_t trained_values(const ModelSizes& model, const model::MethodCosts& costs);

}  // namespace hyperx::estimate

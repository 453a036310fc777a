#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "data/tasks/pair.h"
#include "model/encoder/encoder_spec.h"

namespace hyperx::estimate {

// Numbers of values of a model, from its settings alone; the names are those of model/shapes.h.
struct ModelSizes {
  model::EncoderSpec encoder;
  ModelConfig config;
  std::vector<data::TaskInfo> tasks;
  int64_t languages = 1;

  int64_t theta() const;             // n: one layer's adapter
  int64_t projected() const;         // d_p
  int64_t generators() const;        // 1, or one a layer
  int64_t generator_values() const;  // W and c of all
  int64_t source_values() const;     // P and the embeddings of tasks, languages and layers
  int64_t norm_values() const;       // LayerNorms, plain adapter norms among them
  int64_t head_values(const data::TaskInfo& task) const;
  int64_t dense_values() const;    // sources, norms and all heads: what has a dense gradient
  int64_t trained_values() const;  // the generators too
  int64_t table_values() const;    // frozen tables of the encoder: sub-words, positions, types
  int64_t linear_values() const;   // frozen weights of the encoder's products, one layer
  int64_t frozen_values() const;   // tables and all layers, biases too
  bool has_masked_task() const;
};

}  // namespace hyperx::estimate

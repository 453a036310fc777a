#pragma once

#include <ATen/ATen.h>

#include "model/encoder/encoder_weights.h"
#include "model/model.h"
#include "tests/support/hyperx_of.h"

// A model of a few thousand values and a batch of two sentences for it.
namespace hyperx::train {

inline model::EncoderWeights tiny_encoder(int64_t vocabulary = 40) {
  model::EncoderWeights encoder;
  encoder.spec = {16, 2, 2, 32, vocabulary, 24, 2, 0, 1e-12};
  for (const auto& [name, shape] : model::encoder_tensor_shapes(encoder.spec))
    encoder.tensors[name] =
        name.find("LayerNorm.weight") != std::string::npos ? at::ones(shape) : at::randn(shape) * 0.3;
  return encoder;
}

inline Config tiny_config() {
  Config config;
  model::HyperXOptions& options = model::hyperx_options(config);
  options.adapter_dim = 5;
  options.task_dim = options.language_dim = options.layer_dim = 4;
  options.source_hidden_dim = 6;
  options.projected_dim = 7;
  config.model.dropout = config.model.attention_dropout = 0.1;
  config.train.seed = 3;
  return config;
}

// Two sentences of one pair each, all tokens labelled.
inline data::Batch two_sentences() {
  data::Batch batch;
  batch.input_ids = {1, 5, 9, 2, 1, 7, 2};
  batch.positions = {0, 1, 2, 3, 0, 1, 2};
  batch.sentence_starts = {0, 4, 7};
  batch.sentence_slots = {0, 1};
  batch.label_positions = {1, 2, 5};
  batch.labels = {3, 0, 6};
  for (int i = 0; i < 2; ++i) {
    data::Segment segment;
    segment.draw = i;
    segment.token_begin = i == 0 ? 0 : 4;
    segment.token_end = i == 0 ? 4 : 7;
    segment.label_begin = i == 0 ? 0 : 2;
    segment.label_end = i == 0 ? 2 : 3;
    segment.label_count = i == 0 ? 2 : 1;
    batch.segments.push_back(segment);
  }
  return batch;
}

}  // namespace hyperx::train

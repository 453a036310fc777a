#pragma once

#include <cstdint>
#include <string>

namespace hyperx::model {

// Sizes of a BERT encoder, as in Hugging Face's config.json.
struct EncoderSpec {
  int64_t hidden = 768;
  int64_t layers = 12;
  int64_t heads = 12;
  int64_t intermediate = 3072;
  int64_t vocabulary = 0;
  int64_t max_positions = 512;
  int64_t type_vocabulary = 2;
  int64_t position_offset = 0;  // id of a sentence's first position (BERT 0; RoBERTa's kind: padding id + 1)
  double layer_norm_eps = 1e-12;
  int64_t head_dim() const { return hidden / heads; }
};

// model.encoder is a folder, or random:FOLDER: the sizes and the vocabulary of the folder, weights drawn.
bool has_random_weights(const std::string& encoder);
std::string encoder_folder(const std::string& encoder);

// Reads FOLDER/config.json. UserError (66, 65): missing file or key, a size that does not fit, an activation other than
// GELU's erf form, relative positions: names file, key and value.
EncoderSpec read_encoder_spec(const std::string& folder);

}  // namespace hyperx::model

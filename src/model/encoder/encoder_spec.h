#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace hyperx::model {

struct EncoderFamily;  // family.h
const std::vector<EncoderFamily>& encoder_families();

// Sizes of an encoder, as in Hugging Face's config.json.
struct EncoderSpec {
  int64_t hidden = 0;
  int64_t layers = 0;  // those that are used, from the first on
  int64_t heads = 0;
  int64_t intermediate = 0;
  int64_t vocabulary = 0;
  int64_t max_positions = 0;
  int64_t type_vocabulary = 0;  // token types, of which every sentence has the first; 0: the encoder has none
  int64_t position_offset = 0;  // id of a sentence's first position
  double layer_norm_eps = 1e-12;
  const EncoderFamily* family = nullptr;  // knows the names of its tensors in a weights file
  int64_t unused_layers = 0;              // in the weights file, above those that are used
  int64_t head_dim() const { return hidden / heads; }
};

// model.encoder is a folder, or random:FOLDER: sizes and vocabulary of the folder, with random weights.
bool has_random_weights(const std::string& encoder);
std::string encoder_folder(const std::string& encoder);

// Reads FOLDER/config.json. UserError (66, 65) naming file, key and value: a missing file or key, a size that does not
// fit, a model_type that is not in `families`, an activation other than GELU's erf form, or a value that the family
// refuses.
// `layers` is model.encoder_layers: the first so many, all for 0; UserError (78) if there are fewer.
EncoderSpec read_encoder_spec(const std::string& folder, int64_t layers = 0,
                              const std::vector<EncoderFamily>& families = encoder_families());

// Codes of the languages that the encoder in this folder was trained on: languages.txt, one a line, as
// launch/get-encoder and `hyperx import` write it; nothing where there is no such file.
std::optional<std::set<std::string>> languages_read_by(const std::string& folder);

using TensorShapes = std::vector<std::pair<std::string, std::vector<int64_t>>>;
// Every tensor of an encoder of these sizes, under our names, which are Hugging Face's for a bare BERT:
// "embeddings.word_embeddings.weight", "encoder.layer.0.attention.self.query.weight", ...
TensorShapes encoder_tensor_shapes(const EncoderSpec& spec);
TensorShapes unused_tensor_shapes(const EncoderSpec& spec);  // of the layers that are not used
// The same for its head for masked words: "transform.dense.weight", ..., "bias"; the decoder is the word embedding.
TensorShapes mlm_head_shapes(const EncoderSpec& spec);

// Numbers of values in the encoder's tensors, by purpose.
struct EncoderSizes {
  int64_t norms = 0;     // LayerNorms, which every method trains
  int64_t tables = 0;    // embeddings of sub-words, positions and token types
  int64_t products = 0;  // weights of the matrix products of all layers
  int64_t biases = 0;    // of these products
  int64_t without_norms() const { return tables + products + biases; }
};
EncoderSizes encoder_sizes(const EncoderSpec& spec);

}  // namespace hyperx::model

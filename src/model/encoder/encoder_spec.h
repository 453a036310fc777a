#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace hyperx::model {

struct EncoderFamily;  // family.h
const std::vector<EncoderFamily>& encoder_families();

// Sizes of an encoder, as in Hugging Face's config.json.
struct EncoderSpec {
  int64_t hidden = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t intermediate = 0;
  int64_t vocabulary = 0;
  int64_t max_positions = 0;
  int64_t type_vocabulary = 0;  // token types, of which a sentence has the first; 0: the encoder has none
  int64_t position_offset = 0;  // id of a sentence's first position
  double layer_norm_eps = 1e-12;
  const EncoderFamily* family = nullptr;  // says what its tensors are called in a weights file
  int64_t head_dim() const { return hidden / heads; }
};

// model.encoder is a folder, or random:FOLDER: the sizes and the vocabulary of the folder, weights drawn.
bool has_random_weights(const std::string& encoder);
std::string encoder_folder(const std::string& encoder);

// Reads FOLDER/config.json. UserError (66, 65): missing file or key, a size that does not fit, a model_type that is not
// of `families`, an activation other than GELU's erf form, what the family refuses: names file, key and value.
EncoderSpec read_encoder_spec(const std::string& folder,
                              const std::vector<EncoderFamily>& families = encoder_families());

using TensorShapes = std::vector<std::pair<std::string, std::vector<int64_t>>>;
// Every tensor of an encoder of these sizes under our name, which is Hugging Face's of a bare BERT:
// "embeddings.word_embeddings.weight", "encoder.layer.0.attention.self.query.weight", ...
TensorShapes encoder_tensor_shapes(const EncoderSpec& spec);
// The same of its head for masked words: "transform.dense.weight", ..., "bias"; the decoder is the word embedding.
TensorShapes mlm_head_shapes(const EncoderSpec& spec);

// Numbers of values in the encoder's tensors, by what they are for.
struct EncoderSizes {
  int64_t norms = 0;     // LayerNorms, which every method trains
  int64_t tables = 0;    // embeddings of sub-words, positions and token types
  int64_t products = 0;  // weights of the products of all layers
  int64_t biases = 0;    // of these products
  int64_t without_norms() const { return tables + products + biases; }
};
EncoderSizes encoder_sizes(const EncoderSpec& spec);

}  // namespace hyperx::model

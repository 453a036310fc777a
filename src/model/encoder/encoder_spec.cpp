#include "model/encoder/encoder_spec.h"

#include <sstream>

#include "common/errors.h"
#include "common/files.h"
#include "common/json.h"
#include "common/read_error.h"
#include "data/tokenizer/utf8.h"
#include "model/encoder/family.h"

namespace hyperx::model {
namespace {

constexpr std::string_view kRandom = "random:";
constexpr int64_t kWidest = 100'000, kMostLayers = 10'000;

const EncoderFamily& family_of(const EncoderConfig& config, const std::vector<EncoderFamily>& families) {
  const std::string type = config.text("model_type", families.front().model_type);
  if (const EncoderFamily* const family = find_encoder_family(type, families)) return *family;
  std::string known;
  for (const EncoderFamily& family : families) known += (known.empty() ? "'" : ", '") + family.model_type + "'";
  config.fail("model_type '" + type + "' is not supported, only " + known);
}

// Of the layers [first, last).
void append_layers(TensorShapes& shapes, const EncoderSpec& spec, int64_t first, int64_t last) {
  const int64_t h = spec.hidden, f = spec.intermediate;
  for (int64_t layer = first; layer < last; ++layer) {
    const std::string at = "encoder.layer." + std::to_string(layer) + ".";
    for (const char* part : {"query", "key", "value"}) {
      shapes.push_back({at + "attention.self." + part + ".weight", {h, h}});
      shapes.push_back({at + "attention.self." + part + ".bias", {h}});
    }
    shapes.push_back({at + "attention.output.dense.weight", {h, h}});
    shapes.push_back({at + "attention.output.dense.bias", {h}});
    shapes.push_back({at + "attention.output.LayerNorm.weight", {h}});
    shapes.push_back({at + "attention.output.LayerNorm.bias", {h}});
    shapes.push_back({at + "intermediate.dense.weight", {f, h}});
    shapes.push_back({at + "intermediate.dense.bias", {f}});
    shapes.push_back({at + "output.dense.weight", {h, f}});
    shapes.push_back({at + "output.dense.bias", {h}});
    shapes.push_back({at + "output.LayerNorm.weight", {h}});
    shapes.push_back({at + "output.LayerNorm.bias", {h}});
  }
}

}  // namespace

bool has_random_weights(const std::string& encoder) { return encoder.starts_with(kRandom); }

std::string encoder_folder(const std::string& encoder) {
  return has_random_weights(encoder) ? encoder.substr(kRandom.size()) : encoder;
}

EncoderSpec read_encoder_spec(const std::string& folder, int64_t layers, const std::vector<EncoderFamily>& families) {
  const EncoderConfig config(folder);
  EncoderSpec spec;
  spec.family = &family_of(config, families);
  spec.hidden = config.size("hidden_size", kWidest);
  spec.layers = config.size("num_hidden_layers", kMostLayers);
  spec.heads = config.size("num_attention_heads");
  spec.intermediate = config.size("intermediate_size");
  spec.vocabulary = config.size("vocab_size");
  spec.max_positions = config.size("max_position_embeddings");
  spec.layer_norm_eps = config.number("layer_norm_eps", spec.layer_norm_eps);
  if (!(spec.layer_norm_eps > 0 && spec.layer_norm_eps < 1))
    config.fail("'layer_norm_eps' is " + shown(spec.layer_norm_eps) + ", not a number between 0 and 1");
  if (spec.hidden % spec.heads != 0)
    config.fail("hidden_size " + std::to_string(spec.hidden) + " is not a multiple of num_attention_heads " +
                std::to_string(spec.heads));
  if (layers > spec.layers)
    throw UserError(ExitCode::kBadConfig, "model.encoder_layers = " + std::to_string(layers) + ", but the encoder in " +
                                              folder + " has " + std::to_string(spec.layers));
  if (layers > 0) {
    spec.unused_layers = spec.layers - layers;
    spec.layers = layers;
  }
  config.require("hidden_act", "gelu");
  spec.family->read(config, spec);
  return spec;
}

std::optional<std::set<std::string>> languages_read_by(const std::string& folder) {
  const std::string path = folder + "/languages.txt";
  if (kind_of(path) == PathKind::kNothing) return std::nullopt;
  std::set<std::string> codes;
  std::istringstream words{std::string(data::without_byte_order_mark(read_file(path)))};
  for (std::string code; words >> code;) codes.insert(code);
  return codes;
}

TensorShapes encoder_tensor_shapes(const EncoderSpec& spec) {
  const int64_t h = spec.hidden;
  TensorShapes shapes = {{"embeddings.word_embeddings.weight", {spec.vocabulary, h}},
                         {"embeddings.position_embeddings.weight", {spec.max_positions, h}}};
  if (spec.type_vocabulary > 0)
    shapes.push_back({"embeddings.token_type_embeddings.weight", {spec.type_vocabulary, h}});
  shapes.push_back({"embeddings.LayerNorm.weight", {h}});
  shapes.push_back({"embeddings.LayerNorm.bias", {h}});
  append_layers(shapes, spec, 0, spec.layers);
  return shapes;
}

TensorShapes unused_tensor_shapes(const EncoderSpec& spec) {
  TensorShapes shapes;
  append_layers(shapes, spec, spec.layers, spec.layers + spec.unused_layers);
  return shapes;
}

TensorShapes mlm_head_shapes(const EncoderSpec& spec) {
  return {{"transform.dense.weight", {spec.hidden, spec.hidden}},
          {"transform.dense.bias", {spec.hidden}},
          {"transform.LayerNorm.weight", {spec.hidden}},
          {"transform.LayerNorm.bias", {spec.hidden}},
          {"bias", {spec.vocabulary}}};
}

EncoderSizes encoder_sizes(const EncoderSpec& spec) {
  EncoderSizes sizes;
  for (const auto& [name, shape] : encoder_tensor_shapes(spec)) {
    const bool is_vector = shape.size() == 1, is_norm = name.find("LayerNorm.") != std::string::npos;
    int64_t& values = is_norm                           ? sizes.norms
                      : is_vector                       ? sizes.biases
                      : name.starts_with("embeddings.") ? sizes.tables
                                                        : sizes.products;
    values += is_vector ? shape[0] : shape[0] * shape[1];
  }
  return sizes;
}

}  // namespace hyperx::model

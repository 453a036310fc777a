#include "model/encoder/encoder_spec.h"

#include <nlohmann/json.hpp>

#include "common/errors.h"
#include "common/files.h"

namespace hyperx::model {
namespace {

using nlohmann::json;

constexpr std::string_view kRandom = "random:";

int64_t size_at(const json& config, const std::string& key, const std::string& path) {
  const auto it = config.find(key);
  if (it == config.end()) throw UserError(ExitCode::kBadData, path + ": the key '" + key + "' is missing");
  if (!it->is_number_integer() || it->get<int64_t>() <= 0)
    throw UserError(ExitCode::kBadData, path + ": '" + key + "' is " + it->dump() + ", not a size above 0");
  return it->get<int64_t>();
}

}  // namespace

bool has_random_weights(const std::string& encoder) { return encoder.starts_with(kRandom); }

std::string encoder_folder(const std::string& encoder) {
  return has_random_weights(encoder) ? encoder.substr(kRandom.size()) : encoder;
}

EncoderSpec read_encoder_spec(const std::string& folder) {
  const std::string path = folder + "/config.json";
  json config;
  try {
    config = json::parse(read_file(path));
  } catch (const json::parse_error& error) {
    throw UserError(ExitCode::kBadData, path + ": is not JSON: " + error.what());
  }
  if (!config.is_object()) throw UserError(ExitCode::kBadData, path + ": is not a JSON object");
  EncoderSpec spec;
  spec.hidden = size_at(config, "hidden_size", path);
  spec.layers = size_at(config, "num_hidden_layers", path);
  spec.heads = size_at(config, "num_attention_heads", path);
  spec.intermediate = size_at(config, "intermediate_size", path);
  spec.vocabulary = size_at(config, "vocab_size", path);
  spec.max_positions = size_at(config, "max_position_embeddings", path);
  spec.type_vocabulary = size_at(config, "type_vocab_size", path);
  spec.layer_norm_eps = config.value("layer_norm_eps", spec.layer_norm_eps);
  if (spec.hidden % spec.heads != 0)
    throw UserError(ExitCode::kBadData, path + ": hidden_size " + std::to_string(spec.hidden) +
                                            " is not a multiple of num_attention_heads " + std::to_string(spec.heads));
  const std::string activation = config.value("hidden_act", "gelu");
  if (activation != "gelu")
    throw UserError(ExitCode::kBadData, path + ": hidden_act '" + activation + "' is not supported, only 'gelu'");
  const std::string kind = config.value("model_type", "bert");
  if (kind != "bert")
    throw UserError(ExitCode::kBadData, path + ": model_type '" + kind + "' is not supported, only 'bert'");
  const std::string positions = config.value("position_embedding_type", "absolute");
  if (positions != "absolute")
    throw UserError(ExitCode::kBadData,
                    path + ": position_embedding_type '" + positions + "' is not supported, only 'absolute'");
  return spec;
}

}  // namespace hyperx::model

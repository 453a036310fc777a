#include "model/encoder/encoder_weights.h"

#include <torch/torch.h>

#include <filesystem>

#include "common/digest.h"
#include "common/errors.h"
#include "common/files.h"
#include "model/encoder/safetensors.h"
#include "model/parameters/parameters.h"

namespace hyperx::model {
namespace {

constexpr double kInitialDeviation = 0.02;
constexpr size_t kNamesShown = 8;

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// Old TensorFlow conversions call a LayerNorm's weight gamma and its bias beta.
std::string modern_name(std::string name) {
  if (name.rfind("bert.", 0) == 0) name.erase(0, 5);
  if (ends_with(name, ".LayerNorm.gamma")) name.replace(name.size() - 5, 5, "weight");
  if (ends_with(name, ".LayerNorm.beta")) name.replace(name.size() - 4, 4, "bias");
  return name;
}

bool outside_the_encoder(const std::string& name) {
  return name == "embeddings.position_ids" || name.rfind("pooler.", 0) == 0 ||
         name.rfind("cls.seq_relationship.", 0) == 0 || name == "cls.predictions.decoder.weight" ||
         name == "cls.predictions.decoder.bias";
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < kNamesShown; ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kNamesShown) text += " and " + std::to_string(names.size() - kNamesShown) + " more";
  return text;
}

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

std::vector<std::pair<std::string, std::vector<int64_t>>> mlm_head_shapes(const EncoderSpec& spec) {
  return {{"transform.dense.weight", {spec.hidden, spec.hidden}},
          {"transform.dense.bias", {spec.hidden}},
          {"transform.LayerNorm.weight", {spec.hidden}},
          {"transform.LayerNorm.bias", {spec.hidden}},
          {"bias", {spec.vocabulary}}};
}

std::map<std::string, at::Tensor> read_pickle(const std::string& path) {
  const std::string bytes = read_file(path);
  std::map<std::string, at::Tensor> tensors;
  try {
    const c10::IValue value = torch::pickle_load(std::vector<char>(bytes.begin(), bytes.end()));
    for (const auto& item : value.toGenericDict()) tensors[item.key().toStringRef()] = item.value().toTensor();
  } catch (const c10::Error& error) {
    throw UserError(ExitCode::kBadData, path + ": LibTorch cannot read it (" + error.what_without_backtrace() +
                                            "). Convert it to model.safetensors with Hugging Face's tools");
  }
  return tensors;
}

EncoderWeights draw_encoder(const std::string& folder, uint64_t seed) {
  EncoderWeights weights;
  weights.spec = read_encoder_spec(folder);
  const auto draw = [&](const std::string& name, const std::vector<int64_t>& shape) {
    if (ends_with(name, "LayerNorm.weight")) return torch::ones(shape);
    if (ends_with(name, "bias")) return torch::zeros(shape);
    return normal_tensor(shape, kInitialDeviation, seed, "encoder." + name, torch::kFloat32);
  };
  for (const auto& [name, shape] : encoder_tensor_shapes(weights.spec)) weights.tensors[name] = draw(name, shape);
  weights.digest =
      known_digest(sha256_hex("random " + read_file(folder + "/config.json") + " seed " + std::to_string(seed)));
  return weights;
}

}  // namespace

std::vector<std::pair<std::string, std::vector<int64_t>>> encoder_tensor_shapes(const EncoderSpec& spec) {
  const int64_t h = spec.hidden, f = spec.intermediate;
  std::vector<std::pair<std::string, std::vector<int64_t>>> shapes = {
      {"embeddings.word_embeddings.weight", {spec.vocabulary, h}},
      {"embeddings.position_embeddings.weight", {spec.max_positions, h}},
      {"embeddings.token_type_embeddings.weight", {spec.type_vocabulary, h}},
      {"embeddings.LayerNorm.weight", {h}},
      {"embeddings.LayerNorm.bias", {h}}};
  for (int64_t layer = 0; layer < spec.layers; ++layer) {
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
  return shapes;
}

EncoderWeights sort_encoder_tensors(const EncoderSpec& spec, const std::map<std::string, at::Tensor>& found,
                                    const std::string& path) {
  std::map<std::string, at::Tensor> modern;
  for (const auto& [name, tensor] : found) modern[modern_name(name)] = tensor;

  EncoderWeights weights;
  weights.spec = spec;
  std::vector<std::string> missing, misshapen, extra;
  const auto take = [&](const std::string& name, const std::vector<int64_t>& shape,
                        std::map<std::string, at::Tensor>& into, const std::string& key) {
    const auto it = modern.find(name);
    if (it == modern.end()) {
      missing.push_back(name);
      return;
    }
    if (it->second.sizes() != at::IntArrayRef(shape)) {
      misshapen.push_back(name + " is " + shape_text(it->second.sizes()) + ", config.json says " + shape_text(shape));
    } else {
      into[key] = it->second;
    }
    modern.erase(it);
  };
  for (const auto& [name, shape] : encoder_tensor_shapes(spec)) take(name, shape, weights.tensors, name);
  if (modern.count("cls.predictions.bias") != 0 || modern.count("cls.predictions.transform.dense.weight") != 0)
    for (const auto& [name, shape] : mlm_head_shapes(spec))
      take("cls.predictions." + name, shape, weights.mlm_head, name);
  for (const auto& [name, tensor] : modern)
    if (!outside_the_encoder(name)) extra.push_back(name);

  std::string fault;
  if (!missing.empty()) fault += " missing: " + listed(missing) + ";";
  if (!misshapen.empty()) fault += " misshapen: " + listed(misshapen) + ";";
  if (!extra.empty()) fault += " not of a BERT encoder: " + listed(extra) + ";";
  if (!fault.empty())
    throw UserError(ExitCode::kBadData, path + ": does not hold the encoder that config.json beside it describes:" +
                                            fault + " check that both files belong together");
  return weights;
}

EncoderWeights load_encoder(const std::string& source, uint64_t seed, std::launch digest) {
  if (source.empty())
    throw UserError(ExitCode::kBadConfig,
                    "model.encoder is not set: name a folder with config.json, vocab.txt and "
                    "model.safetensors, or random:FOLDER for drawn weights");
  EncoderWeights weights;
  if (has_random_weights(source)) {
    weights = draw_encoder(encoder_folder(source), seed);
  } else {
    const EncoderSpec spec = read_encoder_spec(source);
    const std::string safetensors = source + "/model.safetensors", pickle = source + "/pytorch_model.bin";
    std::map<std::string, at::Tensor> found;
    const bool is_pickle = !std::filesystem::exists(safetensors) && std::filesystem::exists(pickle);
    if (is_pickle) {
      found = read_pickle(pickle);
    } else {
      const Safetensors file(safetensors);
      for (const std::string& name : file.names()) found[name] = file.tensor(name);
    }
    weights = sort_encoder_tensors(spec, found, is_pickle ? pickle : safetensors);
    weights.digest = future_sha256_of_file(is_pickle ? pickle : safetensors, digest);
  }
  weights.source = source;
  return weights;
}

}  // namespace hyperx::model

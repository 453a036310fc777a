#include "trainer/model_checkpoint.h"

#include <torch/torch.h>

#include "common/errors.h"
#include "common/log.h"
#include "common/version.h"
#include "model/encoder_weights.h"

namespace hyperx::train {
namespace {

using nlohmann::json;

h5::Type h5_type(at::ScalarType type) {
  switch (type) {
    case at::kFloat: return h5::Type::kFloat32;
    case at::kDouble: return h5::Type::kFloat64;
    default: HYPERX_CHECK(false, "checkpoints hold fp32 and fp64 tensors");
  }
}

std::vector<TensorRef> refs(const std::vector<model::Hypernetwork::NamedView>& views) {
  std::vector<TensorRef> refs;
  for (const auto& view : views) {
    HYPERX_CHECK(view.value.is_cpu() && view.value.is_contiguous(), view.name + " is not a block of host memory");
    refs.push_back({view.name, h5_type(view.value.scalar_type()), view.value.sizes().vec(), view.value.const_data_ptr()});
  }
  return refs;
}

std::vector<TensorTarget> targets(const std::vector<model::Hypernetwork::NamedView>& views) {
  std::vector<TensorTarget> targets;
  for (const auto& view : views)
    targets.push_back({view.name, h5_type(view.value.scalar_type()), view.value.sizes().vec(), view.value.data_ptr()});
  return targets;
}

std::vector<std::string> names_of(const std::vector<data::Pair>& pairs) {
  std::vector<std::string> names;
  for (const data::Pair& pair : pairs) names.push_back(pair.name());
  return names;
}

}  // namespace

json ModelInfo::to_json() const {
  Config portable = config;
  portable.run = {};
  json task_list = json::array();
  for (const data::TaskInfo& task : tasks)
    task_list.push_back({{"name", task.name}, {"labels", task.labels}, {"masked", task.masked}});
  return {{"config", dump_config(portable)},
          {"tasks", task_list},
          {"languages", languages},
          {"pairs", names_of(trained_pairs)},
          {"encoder", {{"source", encoder_source}, {"sha256", encoder_digest}}},
          {"tokenizer_sha256", tokenizer_digest},
          {"corpus_sha256", corpus_digest}};
}

ModelInfo ModelInfo::from_json(const json& object, const std::string& origin) {
  ModelInfo info;
  try {
    info.config = parse_config_text(object.at("config").get<std::string>(), origin);
    for (const json& task : object.at("tasks"))
      info.tasks.push_back({task.at("name"), task.at("labels").get<std::vector<std::string>>(), task.at("masked")});
    info.languages = object.at("languages").get<std::vector<std::string>>();
    for (const json& pair : object.at("pairs")) info.trained_pairs.push_back(data::parse_pair(pair.get<std::string>()));
    info.encoder_source = object.at("encoder").at("source");
    info.encoder_digest = object.at("encoder").at("sha256");
    info.tokenizer_digest = object.at("tokenizer_sha256");
    info.corpus_digest = object.at("corpus_sha256");
  } catch (const json::exception& error) {
    throw UserError(ExitCode::kBadData, origin + ": its description of the model cannot be read: " + error.what());
  }
  return info;
}

std::vector<TensorRef> model_tensors(const model::Model& model) { return refs(model.named_tensors()); }
std::vector<TensorRef> optimizer_tensors(const Optimizer& optimizer) { return refs(optimizer.named_moments()); }
std::vector<TensorTarget> model_targets(const model::Model& model) { return targets(model.named_tensors()); }
std::vector<TensorTarget> optimizer_targets(const Optimizer& optimizer) { return targets(optimizer.named_moments()); }

at::ScalarType compute_type(const TrainConfig& config, at::Device device) {
  if (config.precision == "fp64") return at::kDouble;
  if (config.precision == "fp32") return at::kFloat;
  if (config.precision == "bf16") return at::kBFloat16;
  const bool fast_bf16 = device.is_cuda() || cpu_capability().find("AMX-BF16") != std::string::npos;
  return fast_bf16 ? at::kBFloat16 : at::kFloat;
}

LoadedModel load_model(const std::string& run_or_checkpoint, const std::string& encoder, const TrainConfig& precision,
                       at::Device device) {
  LoadedModel loaded;
  loaded.checkpoint = resolve_checkpoint(run_or_checkpoint);
  const Checkpoint checkpoint = Checkpoint::open(loaded.checkpoint);
  loaded.step = checkpoint.step();
  loaded.checkpoint_digest = checkpoint.manifest().files.at(kModelFile).sha256;
  loaded.info = ModelInfo::from_json(checkpoint.model_info(), loaded.checkpoint);
  const std::string source = encoder.empty() ? loaded.info.encoder_source : encoder;
  const model::EncoderWeights weights = model::load_encoder(source, loaded.info.config.train.seed);
  if (weights.digest != loaded.info.encoder_digest)
    throw UserError(ExitCode::kBadData, loaded.checkpoint + ": was trained on another encoder than " + source + " (SHA-256 " +
                                            loaded.info.encoder_digest.substr(0, 12) + ", here " + weights.digest.substr(0, 12) +
                                            "). Name the right folder with --model.encoder");
  model::ModelOptions options{loaded.info.config.model, loaded.info.tasks, loaded.info.languages, loaded.info.config.train.seed,
                              compute_type(precision, device), device};
  loaded.model = std::make_unique<model::Model>(weights, options);
  checkpoint.load_model(model_targets(*loaded.model));
  return loaded;
}

}  // namespace hyperx::train

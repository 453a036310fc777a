#include "trainer/checkpoint/model_checkpoint.h"

#include <torch/torch.h>

#include <algorithm>
#include <cstdlib>

#include "common/errors.h"
#include "common/log.h"
#include "common/version.h"
#include "model/encoder/encoder_weights.h"
#ifdef HYPERX_WITH_CUDA
#include <ATen/cuda/CUDAContextLight.h>
#endif

namespace hyperx::train {
namespace {

using nlohmann::json;

constexpr int kFlashCapability = 80;

// Ten times the number that NVIDIA gives it, as in sm_90; 0 on the CPU.
int compute_capability([[maybe_unused]] at::Device device) {
#ifdef HYPERX_WITH_CUDA
  if (device.is_cuda()) {
    const cudaDeviceProp& properties = *at::cuda::getDeviceProperties(device.index());
    return 10 * properties.major + properties.minor;
  }
#endif
  return 0;
}

h5::Type h5_type(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return h5::Type::kFloat32;
    case at::kDouble:
      return h5::Type::kFloat64;
    default:
      HYPERX_CHECK(false, "checkpoints hold fp32 and fp64 tensors");
  }
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
          {"encoder", {{"source", encoder_source}, {"sha256", encoder_digest.get()}}},
          {"tokenizer_sha256", tokenizer_digest},
          {"corpus_xxh128", corpus_digest}};
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
    info.encoder_digest = known_digest(object.at("encoder").at("sha256").get<std::string>());
    info.tokenizer_digest = object.at("tokenizer_sha256");
    info.corpus_digest = object.at("corpus_xxh128");
  } catch (const json::exception& error) {
    throw UserError(ExitCode::kBadData, origin + ": its description of the model cannot be read: " + error.what());
  }
  return info;
}

HostTensors::HostTensors(const model::NamedTensors& views) {
  for (const auto& view : views) {
    owners.push_back(view.value.detach().cpu().contiguous());
    const at::Tensor& host = owners.back();
    refs.push_back({view.name, h5_type(host.scalar_type()), host.sizes().vec(), host.const_data_ptr()});
  }
}

void load_tensors(const model::NamedTensors& views, const std::function<void(const std::vector<TensorTarget>&)>& load) {
  const at::NoGradGuard no_gradient;
  std::vector<at::Tensor> hosts;
  std::vector<TensorTarget> targets;
  for (const auto& view : views) {
    const bool in_place = view.value.is_cpu() && view.value.is_contiguous();
    hosts.push_back(
        in_place ? view.value.detach()
                 : torch::empty_like(view.value, at::TensorOptions().device(at::kCPU), at::MemoryFormat::Contiguous));
    targets.push_back(
        {view.name, h5_type(view.value.scalar_type()), view.value.sizes().vec(), hosts.back().data_ptr()});
    if (!in_place) hosts.back().copy_(view.value);  // a partial load leaves what it does not find
  }
  load(targets);
  for (size_t i = 0; i < views.size(); ++i)
    if (!hosts[i].is_alias_of(views[i].value)) views[i].value.copy_(hosts[i]);
}

namespace {

using model::NamedTensors;
using model::StatePart;

constexpr std::pair<StatePart, const char*> kMoments[] = {{StatePart::kFirstMoments, "m/"},
                                                          {StatePart::kSecondMoments, "v/"}};

void append(NamedTensors& tensors, const std::string& prefix, NamedTensors more) {
  for (auto& [name, value] : more) tensors.push_back({prefix + name, std::move(value)});
}

}  // namespace

NamedTensors saved_values(model::ParameterSet& parameters, comm::Communicator& communicator) {
  NamedTensors tensors;
  for (const auto& block : parameters.blocks()) append(tensors, "", block->state(StatePart::kValues, communicator));
  return tensors;
}

NamedTensors saved_moments(model::ParameterSet& parameters, comm::Communicator& communicator) {
  NamedTensors tensors;
  for (const auto& block : parameters.blocks())
    for (const auto& [part, prefix] : kMoments) append(tensors, prefix, block->state(part, communicator));
  return tensors;
}

void load_values(model::ParameterSet& parameters, const LoadTensors& load) {
  NamedTensors tensors;
  for (const auto& block : parameters.blocks()) append(tensors, "", block->loadable(StatePart::kValues));
  load_tensors(tensors, load);
  for (const auto& block : parameters.blocks()) block->loaded(StatePart::kValues);
}

void load_moments(model::ParameterSet& parameters, const LoadTensors& load) {
  NamedTensors tensors;
  for (const auto& block : parameters.blocks())
    for (const auto& [part, prefix] : kMoments) append(tensors, prefix, block->loadable(part));
  load_tensors(tensors, load);
  for (const auto& block : parameters.blocks())
    for (const auto& [part, prefix] : kMoments) block->loaded(part);
}

at::ScalarType compute_type(const TrainConfig& config, at::Device device) {
  if (config.precision == "fp64") return at::kDouble;
  if (config.precision == "fp32") return at::kFloat;
  const int capability = compute_capability(device);
  const bool flash = capability >= kFlashCapability;
  if (config.precision == "auto") {
    const bool fast_bf16 = device.is_cuda() ? flash : cpu_capability().find("AMX-BF16") != std::string::npos;
    return fast_bf16 ? at::kBFloat16 : at::kFloat;
  }
  if (device.is_cuda() && !flash)
    throw UserError(ExitCode::kBadConfig,
                    fmt::format("train.precision = bf16: this GPU, of compute capability {}.{}, has no flash attention "
                                "in bf16 (8.0 and above have); set it to fp32",
                                capability / 10, capability % 10));
  return at::kBFloat16;
}

void set_determinism(const TrainConfig& config, at::Device device) {
  if (!config.deterministic || !device.is_cuda()) return;
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);  // cuBLAS reads it when it starts
  at::globalContext().setDeterministicAlgorithms(true, false);
}

LoadedModel load_model(const std::string& run_or_checkpoint, const std::string& encoder, const TrainConfig& precision,
                       at::Device device) {
  LoadedModel loaded;
  loaded.checkpoint = resolve_checkpoint(run_or_checkpoint);
  const Checkpoint checkpoint = Checkpoint::open(loaded.checkpoint);
  loaded.step = checkpoint.step();
  loaded.checkpoint_digest = checkpoint.manifest().files.at(kModelFile).xxh128;
  loaded.info = ModelInfo::from_json(checkpoint.model_info(), loaded.checkpoint);
  const std::string source = encoder.empty() ? loaded.info.encoder_source : encoder;
  loaded.info.encoder_source = source;
  const model::EncoderWeights weights = model::load_encoder(source, loaded.info.config.train.seed);
  model::ModelOptions options{loaded.info.config.model,
                              loaded.info.tasks,
                              loaded.info.languages,
                              loaded.info.config.train.seed,
                              compute_type(precision, device),
                              device,
                              {}};
  set_determinism(precision, device);
  loaded.model = std::make_unique<model::Model>(weights, options);
  const std::string &trained_on = loaded.info.encoder_digest.get(), &here = weights.digest.get();
  if (here != trained_on)
    throw UserError(ExitCode::kBadData, loaded.checkpoint + ": was trained on another encoder than " + source +
                                            " (SHA-256 " + trained_on.substr(0, 12) + ", here " + here.substr(0, 12) +
                                            "). Name the right folder with --model.encoder");
  load_values(loaded.model->parameters(), [&](const auto& targets) { checkpoint.load_model(targets); });
  return loaded;
}

}  // namespace hyperx::train

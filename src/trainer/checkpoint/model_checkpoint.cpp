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

HostTensors::HostTensors(const NamedViews& views) {
  for (const auto& view : views) {
    owners.push_back(view.value.detach().cpu().contiguous());
    const at::Tensor& host = owners.back();
    refs.push_back({view.name, h5_type(host.scalar_type()), host.sizes().vec(), host.const_data_ptr()});
  }
}

void load_tensors(const NamedViews& views, const std::function<void(const std::vector<TensorTarget>&)>& load) {
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

using model::Hypernetwork;
using Generators = std::vector<Hypernetwork::Generator>;

constexpr int64_t kRowsAtOnce = 1 << 14;  // of one message that brings rows together

void append(NamedViews& views, const std::string& prefix, const NamedViews& more) {
  for (const auto& view : more) views.push_back({prefix + view.name, view.value});
}

// Null where every rank holds all rows.
const Hypernetwork* sharded(const model::Model& model) {
  const bool is_sharded = model.hyperx() != nullptr && model.hyperx()->hypernetwork().is_sharded();
  return is_sharded ? &model.hyperx()->hypernetwork() : nullptr;
}

NamedViews dense_views(model::Model& model) {
  NamedViews views;
  for (const auto& parameter : model.parameters().all()) views.push_back({parameter->name, parameter->value});
  return views;
}

// Room on the host for all rows.
Generators blank_generators(const Hypernetwork& hypernetwork, const Generators& own) {
  Generators whole;
  for (const auto& [weight, bias] : own)
    whole.push_back({at::empty({hypernetwork.theta_size(), weight.size(1)}, weight.options().device(at::kCPU)),
                     at::empty({hypernetwork.theta_size()}, bias.options().device(at::kCPU))});
  return whole;
}

// Brings the rows of all ranks into `into` [theta, width], block by block; undefined: this rank only sends.
void gather_rows(const Hypernetwork& hypernetwork, comm::Communicator& communicator, const at::Tensor& own,
                 const at::Tensor& into) {
  const int64_t share = hypernetwork.share();
  for (int64_t begin = 0; begin < share; begin += kRowsAtOnce) {
    const int64_t count = std::min(kRowsAtOnce, share - begin);
    const auto held_by = [&](int64_t rank) {
      return std::clamp<int64_t>(hypernetwork.row_count(rank) - begin, 0, count);
    };
    const int64_t held = held_by(communicator.rank());
    at::Tensor message = at::zeros({count, own.size(1)}, own.options());
    if (held > 0) message.narrow(0, 0, held).copy_(own.narrow(0, begin, held));
    at::Tensor gathered = at::empty({communicator.size(), count, own.size(1)}, own.options());
    communicator.all_gather(message, gathered);
    for (int64_t rank = 0; into.defined() && rank < communicator.size(); ++rank) {
      const int64_t rows = held_by(rank);
      if (rows > 0) into.narrow(0, rank * share + begin, rows).copy_(gathered[rank].narrow(0, 0, rows));
    }
  }
}

// All rows on rank 0, nothing on the others.
Generators gather_generators(const Hypernetwork& hypernetwork, const Generators& own,
                             comm::Communicator& communicator) {
  const bool receives = communicator.rank() == 0;
  const Generators whole = receives ? blank_generators(hypernetwork, own) : Generators();
  for (size_t group = 0; group < own.size(); ++group) {
    gather_rows(hypernetwork, communicator, own[group].weight, receives ? whole[group].weight : at::Tensor());
    gather_rows(hypernetwork, communicator, own[group].bias.unsqueeze(1),
                receives ? whole[group].bias.unsqueeze(1) : at::Tensor());
  }
  return whole;
}

// Between all rows and this rank's: what a load does not find keeps its value.
void copy_own_rows(const Hypernetwork& hypernetwork, const Generators& whole, const Generators& own, bool into_whole) {
  const auto copy = [&](const at::Tensor& all, const at::Tensor& part) {
    const at::Tensor rows = all.narrow(0, hypernetwork.own_begin(), hypernetwork.own_rows());
    into_whole ? rows.copy_(part) : part.copy_(rows);
  };
  for (size_t group = 0; group < own.size(); ++group) {
    copy(whole[group].weight, own[group].weight);
    copy(whole[group].bias, own[group].bias);
  }
}

}  // namespace

NamedViews whole_model(model::Model& model, comm::Communicator& communicator) {
  const Hypernetwork* const hypernetwork = sharded(model);
  if (hypernetwork == nullptr) return model.named_tensors();
  NamedViews views = dense_views(model);
  append(views, "",
         hypernetwork->named_views_of(gather_generators(*hypernetwork, hypernetwork->generators(), communicator)));
  return views;
}

NamedViews whole_moments(model::Model& model, Optimizer& optimizer, comm::Communicator& communicator) {
  NamedViews views = optimizer.named_moments();
  if (model.hyperx() == nullptr) return views;
  const Hypernetwork& hypernetwork = model.hyperx()->hypernetwork();
  for (const bool second : {false, true}) {
    const Generators& own = optimizer.generator_moments(second);
    append(views, second ? "v/" : "m/",
           hypernetwork.named_views_of(sharded(model) == nullptr ? own
                                                                 : gather_generators(hypernetwork, own, communicator)));
  }
  return views;
}

void load_whole_model(model::Model& model, const LoadTensors& load) {
  const Hypernetwork* const hypernetwork = sharded(model);
  if (hypernetwork == nullptr) return load_tensors(model.named_tensors(), load);
  const Generators& own = hypernetwork->generators();
  const Generators whole = blank_generators(*hypernetwork, own);
  copy_own_rows(*hypernetwork, whole, own, true);
  NamedViews views = dense_views(model);
  append(views, "", hypernetwork->named_views_of(whole));
  load_tensors(views, load);
  copy_own_rows(*hypernetwork, whole, own, false);
}

void load_whole_moments(model::Model& model, Optimizer& optimizer, const LoadTensors& load) {
  NamedViews views = optimizer.named_moments();
  const Hypernetwork* const hypernetwork = sharded(model);
  std::vector<Generators> wholes;
  for (const bool second : {false, true}) {
    if (model.hyperx() == nullptr) break;
    const Generators& own = optimizer.generator_moments(second);
    wholes.push_back(hypernetwork == nullptr ? own : blank_generators(*hypernetwork, own));
    append(views, second ? "v/" : "m/", model.hyperx()->hypernetwork().named_views_of(wholes.back()));
  }
  load_tensors(views, load);
  if (hypernetwork == nullptr) return;
  for (const bool second : {false, true})
    copy_own_rows(*hypernetwork, wholes[second ? 1 : 0], optimizer.generator_moments(second), false);
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
  load_tensors(loaded.model->named_tensors(), [&](const auto& targets) { checkpoint.load_model(targets); });
  return loaded;
}

}  // namespace hyperx::train

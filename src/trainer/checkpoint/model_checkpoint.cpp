#include "trainer/checkpoint/model_checkpoint.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>

#include "common/config/stored_paths.h"
#include "common/errors.h"
#include "common/json.h"
#include "common/log.h"
#include "common/version.h"
#include "model/encoder/encoder_weights.h"
#include "model/options.h"
#include "trainer/comm/rank_zero.h"
#ifdef HYPERX_WITH_CUDA
#include <ATen/cuda/CUDAContextLight.h>
#endif

namespace hyperx::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kFlashCapability = 80;

// Ten times NVIDIA's compute capability, as in sm_90; 0 on the CPU.
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

std::string with_encoder_path(const std::string& encoder,
                              const std::function<std::string(const std::string&)>& change) {
  return config::with_paths(*model::options().find("model.encoder"), encoder, change);
}

constexpr int kFormat = 2;  // of the record in model.h5; 1: version 0.1.0, without a number

// The options that determine a model and its results: model.* except the encoder's folder, and the method's own.
std::vector<const config::Option*> options_of_model(const std::string& method) {
  std::vector<const config::Option*> found;
  for (const config::Option& option : model::options().options)
    if ((option.key.starts_with("model.") && option.key != "model.encoder") || option.key.starts_with(method + "."))
      found.push_back(&option);
  return found;
}

// The option that names the runs that a method builds on.
std::string key_of_needed(const std::string& method) {
  for (const config::Option* option : options_of_model(method))
    if (option->paths != config::Paths::kNone) return option->key;
  HYPERX_CHECK(false, "a method that builds on runs has an option that names them");
}

// Reads options by key, as text; old names count as the new ones.
void read_options(const JsonValue& record, const std::string& origin, Config& config) {
  const int64_t format = record.integer("format", 1);
  if (format > kFormat)
    throw UserError(ExitCode::kBadData, fmt::format("{}: its description of the model has format {}; this version "
                                                    "reads up to {}: take a newer hyperx",
                                                    origin, format, kFormat));
  if (format == 1) {
    config = parse_config_text(model::options(), record["config"].text(), origin, Removed::kPassOver);
    return;
  }
  std::string text;
  for (const auto& [key, value] : record["options"].fields()) text += key + " = " + value.text() + "\n";
  config = parse_config_text(model::options(), text, origin, Removed::kPassOver);
  config.data.max_subwords = static_cast<int>(record["max_subwords"].integer(1, INT_MAX));
  config.data.corpus = record["corpus"].text();
  const JsonValue seed = record["encoder"]["seed"];
  if (!seed.raw().is_number_unsigned()) seed.fail("is " + shown(seed.raw()) + ", not a whole number from 0");
  config.train.seed = seed.raw().get<uint64_t>();
}

// Each may be there once.
void require_distinct(const JsonValue& list) {
  std::vector<std::string> texts = list.texts();
  std::sort(texts.begin(), texts.end());
  const auto twice = std::adjacent_find(texts.begin(), texts.end());
  if (twice != texts.end()) list.fail("names '" + *twice + "' twice");
}

}  // namespace

json ModelInfo::to_json(const std::string& run) const {
  const Config stored = config::stored_config(model::options(), config, run);
  json options = json::object(), runs = json::array();
  for (const config::Option* option : options_of_model(config.model.method)) options[option->key] = option->get(stored);
  for (const NeededRun& each : needed)
    runs.push_back({{"checkpoint", config::stored_path(each.checkpoint, run)},
                    {"xxh128", each.xxh128},
                    {"languages", each.languages}});
  return {{"format", kFormat},
          {"options", options},
          {"max_subwords", config.data.max_subwords},
          {"label_position", label_position},
          {"corpus", stored.data.corpus},
          {"tasks", tasks.to_json()},
          {"languages", languages},
          {"pairs", names_of(trained_pairs)},
          {"encoder",
           {{"source", with_encoder_path(encoder_source,
                                         [&](const std::string& path) { return config::stored_path(path, run); })},
            {"sha256", encoder_digest.get()},
            {"seed", config.train.seed}}},
          {"needed_runs", runs},
          {"tokenizer_sha256", tokenizer_digest}};
}

ModelInfo ModelInfo::from_json(const json& object, const std::string& checkpoint) {
  const std::string run = run_of_checkpoint(checkpoint);
  const auto resolve = [&](const std::string& path) { return config::path_of_stored(path, run); };
  const JsonValue record(checkpoint, object, "info");
  ModelInfo info;
  read_options(record, checkpoint, info.config);
  for (const config::Option& option : model::options().options)
    if (option.paths != config::Paths::kNone)
      option.text(info.config) = config::with_paths(option, option.get(info.config), resolve);
  info.tasks = data::TaskSet::from_json(record["tasks"].raw(), checkpoint);
  info.languages = record["languages"].texts();
  for (const char* list : {"languages", "pairs"}) require_distinct(record[list]);
  for (const JsonValue& pair : record["pairs"].items()) {
    try {
      info.trained_pairs.push_back(data::parse_pair(pair.text()));
    } catch (const UserError& error) {
      pair.fail(std::string("is ") + error.what());
    }
  }
  info.encoder_source = with_encoder_path(record["encoder"]["source"].text(), resolve);
  info.encoder_digest = known_digest(record["encoder"]["sha256"].text());
  info.tokenizer_digest = record["tokenizer_sha256"].text();
  info.label_position = record.text("label_position", info.label_position);  // models of 0.2.0 lack it
  if (record.has("needed_runs"))                                             // and this
    for (const JsonValue& each : record["needed_runs"].items()) {
      require_distinct(each["languages"]);
      info.needed.push_back({resolve(each["checkpoint"].text()), each["xxh128"].text(), each["languages"].texts()});
    }
  return info;
}

json ModelInfo::settings_to_json() const {
  Config portable = config;
  portable.run = {};
  return {{"config", dump_config(model::options(), portable)}, {"corpus_xxh128", corpus_digest}};
}

ModelInfo saved_run(const Checkpoint& checkpoint) {
  ModelInfo info = ModelInfo::from_json(checkpoint.model_info(), checkpoint.folder());
  const json state = checkpoint.train_state();
  const JsonValue record(checkpoint.folder(), state, "state");
  const JsonValue settings = record.has("settings")
                                 ? record["settings"]
                                 : JsonValue(checkpoint.folder(), checkpoint.model_info(), "info");  // kept by 0.1.0
  info.config = parse_config_text(model::options(), settings["config"].text(), checkpoint.folder(), Removed::kRefuse);
  info.corpus_digest = settings["corpus_xxh128"].text();
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
                 : at::empty_like(view.value, at::TensorOptions().device(at::kCPU), at::MemoryFormat::Contiguous));
    targets.push_back(
        {view.name, h5_type(view.value.scalar_type()), view.value.sizes().vec(), hosts.back().data_ptr()});
    if (!in_place) hosts.back().copy_(view.value);  // a partial load keeps the values it does not find
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

std::string agreed_precision(const std::string& precision, const std::string& before, at::Device device,
                             comm::Communicator& communicator) {
  const int capability = compute_capability(device);
  const bool flash = capability >= kFlashCapability;
  const bool fast = device.is_cuda() ? flash : cpu_capability().find("AMX-BF16") != std::string::npos;
  const std::vector<int64_t> lacking = communicator.all_reduce_max({fast ? 0 : 1, device.is_cuda() && !flash ? 1 : 0});
  const bool all_fast = lacking[0] == 0, a_gpu_without_flash = lacking[1] != 0;
  const std::string wanted = precision != "auto" ? precision : before;
  const std::string agreed = wanted != "" && wanted != "auto" ? wanted : all_fast ? "bf16" : "fp32";
  if (agreed == "bf16" && a_gpu_without_flash)
    throw UserError(ExitCode::kBadConfig,
                    "train.precision = bf16: the GPU of a rank has no flash attention in bf16 (compute capability 8.0 "
                    "and above have); set it to fp32");
  return agreed;
}

at::ScalarType compute_type(const std::string& agreed_precision) {
  return agreed_precision == "fp64" ? at::kDouble : agreed_precision == "bf16" ? at::kBFloat16 : at::kFloat;
}

void set_determinism(const TrainConfig& config, at::Device device) {
  if (!config.deterministic || !device.is_cuda()) return;
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);  // cuBLAS reads it when it is initialised
  at::globalContext().setDeterministicAlgorithms(true, false);
}

namespace {

at::ScalarType scalar_type(const h5::DatasetInfo& tensor, const std::string& folder) {
  for (const at::ScalarType candidate : {at::kFloat, at::kDouble})
    if (h5_type(candidate) == tensor.type) return candidate;
  throw UserError(ExitCode::kBadData, fmt::format("{}/{}: {} holds {}; tensors of a model are float32 or float64",
                                                  folder, kModelFile, tensor.name, h5::name_of(tensor.type)));
}

void require_encoder(const std::string& checkpoint, const std::string& trained_on, const std::string& here,
                     const std::string& advice) {
  if (here == trained_on) return;
  throw UserError(ExitCode::kBadData, fmt::format("{}: was trained on another encoder (SHA-256 {}, here {}). {}",
                                                  checkpoint, trained_on.substr(0, 12), here.substr(0, 12), advice));
}

}  // namespace

std::vector<model::TrainedRun> load_needed_runs(ModelInfo& info, comm::Communicator* ranks) {
  std::vector<model::TrainedRun> runs;
  const model::MethodSpec& method = model::find_method_spec(info.config.model.method);
  if (method.needs == nullptr) return runs;
  const auto resolve = [&] {
    std::string lines;
    for (const std::string& folder : method.needs(info.config)) {
      if (!fs::exists(folder))
        throw UserError(ExitCode::kNoInput, fmt::format("{}: no such run or checkpoint folder, and the model builds on "
                                                        "it: name the folder with --{}",
                                                        folder, key_of_needed(method.name)));
      lines += resolve_checkpoint(folder) + "\n";
    }
    return lines;
  };
  std::set<std::string> languages;
  for (const data::Pair& pair : info.trained_pairs) languages.insert(pair.base_language());
  std::vector<ModelInfo::NeededRun> found;
  std::istringstream folders(ranks == nullptr ? resolve() : comm::on_rank_zero(*ranks, resolve));
  for (std::string folder; std::getline(folders, folder);) {
    const Checkpoint checkpoint = Checkpoint::open(folder);
    const ModelInfo own = ModelInfo::from_json(checkpoint.model_info(), checkpoint.folder());
    require_encoder(checkpoint.folder(), own.encoder_digest.get(), info.encoder_digest.get(),
                    fmt::format("A model of method {} needs one that was trained on its own encoder", method.name));
    const std::string digest = checkpoint.manifest().files.at(kModelFile).xxh128;
    model::TrainedRun run{checkpoint.folder(), own.config, own.tasks, own.languages, {}, digest};
    model::NamedTensors tensors;
    for (const h5::DatasetInfo& tensor : checkpoint.model_tensors())
      tensors.push_back({tensor.name, at::empty(tensor.shape, scalar_type(tensor, folder))});
    load_tensors(tensors, [&](const auto& targets) { checkpoint.load_model(targets); });
    for (auto& [name, value] : tensors) run.values[name] = std::move(value);
    runs.push_back(std::move(run));
    found.push_back({checkpoint.folder(), digest, own.languages});
    languages.insert(own.languages.begin(), own.languages.end());
  }
  require_same_needed(info, found);
  info.needed = std::move(found);
  info.languages.assign(languages.begin(), languages.end());
  return runs;
}

void require_same_needed(const ModelInfo& trained, const std::vector<ModelInfo::NeededRun>& now) {
  std::set<std::string> languages;
  for (const data::Pair& pair : trained.trained_pairs) languages.insert(pair.base_language());
  for (const ModelInfo::NeededRun& before : trained.needed)
    for (const std::string& language : before.languages)
      for (const ModelInfo::NeededRun& run : now)
        if (languages.contains(language) && run.xxh128 != before.xxh128 &&
            std::find(run.languages.begin(), run.languages.end(), language) != run.languages.end())
          throw UserError(ExitCode::kBadData,
                          fmt::format("{}: is not what the model was trained with for the language {}, which was {} "
                                      "(model.h5: XXH128 {}, here {}); name that checkpoint",
                                      run.checkpoint, language, before.checkpoint, before.xxh128.substr(0, 12),
                                      run.xxh128.substr(0, 12)));
}

std::string encoder_of(const ModelInfo& info, const std::string& given, const std::string& checkpoint) {
  if (!given.empty() || fs::exists(model::encoder_folder(info.encoder_source)))
    return given.empty() ? info.encoder_source : given;
  throw UserError(ExitCode::kNoInput, fmt::format("{}: the encoder that {} was trained on is not there (any more): "
                                                  "name its folder with --model.encoder",
                                                  model::encoder_folder(info.encoder_source), checkpoint));
}

LoadedModel load_model(const Checkpoint& checkpoint, const std::string& encoder, const OptionTexts& options,
                       at::ScalarType compute, at::Device device) {
  LoadedModel loaded;
  loaded.checkpoint = checkpoint.folder();
  loaded.step = checkpoint.step();
  loaded.checkpoint_digest = checkpoint.manifest().files.at(kModelFile).xxh128;
  loaded.info = ModelInfo::from_json(checkpoint.model_info(), loaded.checkpoint);
  const std::string& method = loaded.info.config.model.method;
  for (const auto& [key, text] : options) {
    const auto own = options_of_model(method);
    const auto found =
        std::find_if(own.begin(), own.end(), [&name = key](const auto* option) { return option->key == name; });
    if (found == own.end())
      throw UserError(ExitCode::kBadConfig,
                      fmt::format("{} is given, but {} is a model of method {}, which has no such "
                                  "option: leave it out",
                                  key, loaded.checkpoint, method));
    (*found)->set(loaded.info.config, text);
  }
  const std::string source = encoder_of(loaded.info, encoder, loaded.checkpoint);
  loaded.info.encoder_source = source;
  const model::EncoderWeights weights =
      model::load_encoder(source, loaded.info.config.train.seed, loaded.info.config.model.encoder_layers);
  std::vector<model::TrainedRun> needed = load_needed_runs(loaded.info);
  model::ModelOptions model{loaded.info.config, loaded.info.tasks, loaded.info.languages, compute, device};
  model.needed = std::move(needed);
  model.pairs = loaded.info.trained_pairs;
  loaded.model = std::make_unique<model::Model>(weights, std::move(model));
  require_encoder(loaded.checkpoint, loaded.info.encoder_digest.get(), weights.digest.get(),
                  source + " is not it: name the right folder with --model.encoder");
  load_values(loaded.model->parameters(), [&](const auto& targets) { checkpoint.load_model(targets); });
  return loaded;
}

}  // namespace hyperx::train

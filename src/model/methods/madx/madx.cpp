#include "model/methods/madx/madx.h"

#include <ATen/ATen.h>
#include <spdlog/fmt/fmt.h>

#include "common/errors.h"
#include "model/methods/by_pair.h"
#include "model/ops/cpu/dropout.h"

namespace hyperx::model {
namespace {

const char* const kGroup = "madx";
constexpr double kDeviation = 0.02;
constexpr size_t kShownDigest = 12;

std::string names_of(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string prefix_of_language(const std::string& language) { return "madx.languages." + language + "."; }

// A run trains one adapter.
void require_one(const MethodContext& context, bool of_language) {
  std::vector<std::string> tasks;
  for (const auto& task : context.tasks) tasks.push_back(task->name());
  const auto refuse = [&](const std::string& what) { throw UserError(ExitCode::kBadConfig, what); };
  if (of_language && (tasks.size() != 1 || !context.tasks.at(tasks[0]).masked() || context.languages.size() != 1))
    refuse(
        fmt::format("madx.train = language trains the adapter of one language by masked words alone, but train.pairs "
                    "has the tasks {} and the languages {}: name one pair, such as mlm:en",
                    names_of(tasks), names_of(context.languages)));
  if (!of_language && (tasks.size() != 1 || context.tasks.at(tasks[0]).masked()))
    refuse(
        fmt::format("madx.train = task trains the adapter of one task, but train.pairs has {}: name the pairs of one "
                    "labelled task, such as pos:en,pos:tr",
                    names_of(tasks)));
}

}  // namespace

Madx::Madx(const MethodContext& context) : parameters_(context.parameters), compute_(context.compute) {
  const MadxOptions& options = context.config.sections.get<MadxOptions>();
  const bool of_language = options.train == "language";
  require_one(context, of_language);
  if (of_language) {
    const std::string& language = context.languages.front();
    languages_.emplace(language, make_language(trained(context, prefix_of_language(language)), options, context.spec));
    return;
  }
  for (const TrainedRun& run : context.needed) add_frozen_language(context, run);
  for (const std::string& language : context.languages) require_adapter(language);
  for (const auto& task : context.tasks)
    task_ = make_bottlenecks(trained(context, "madx.tasks." + task->name() + "."), context.spec.layers,
                             context.spec.hidden, options.task_adapter_dim, compute_);
}

TensorSource Madx::trained(const MethodContext& context, const std::string& prefix) const {
  return [&context, prefix](const std::string& name, at::IntArrayRef shape) {
    const at::TensorOptions tensor = at::TensorOptions().dtype(context.master).device(context.device);
    const at::Tensor initial = shape.size() == 1
                                   ? at::zeros(shape, tensor)
                                   : normal_tensor(shape, kDeviation, context.config.train.seed, prefix + name, tensor);
    return context.parameters.add(prefix + name, kGroup, initial).value;
  };
}

Madx::LanguageAdapter Madx::make_language(const TensorSource& source, const MadxOptions& options,
                                          const EncoderSpec& spec) const {
  LanguageAdapter made;
  made.layers = make_bottlenecks(source, spec.layers, spec.hidden, options.language_adapter_dim, compute_);
  if (options.invertible == "nice") made.invertible.emplace(source, spec.hidden, compute_);
  return made;
}

void Madx::add_frozen_language(const MethodContext& context, const TrainedRun& run) {
  const auto refuse = [&](const std::string& what) {
    throw UserError(ExitCode::kBadData, fmt::format("{}: {}", run.checkpoint, what));
  };
  const MadxOptions& options = run.config.sections.get<MadxOptions>();
  if (run.config.model.method != "madx" || options.train != "language" || run.languages.size() != 1)
    refuse("is not a run of madx.train = language, as the folders of madx.language_adapters must be");
  if (run.config.model.encoder_layers != context.config.model.encoder_layers)
    refuse(fmt::format("was trained with model.encoder_layers = {}, here it is {}", run.config.model.encoder_layers,
                       context.config.model.encoder_layers));
  const std::string& language = run.languages.front();
  const std::string prefix = prefix_of_language(language);
  const TensorSource values = [&](const std::string& name, at::IntArrayRef shape) {
    const auto found = run.values.find(prefix + name);
    if (found == run.values.end() || found->second.sizes() != shape)
      refuse(fmt::format("has no tensor {}{} of the shape that its options and this encoder ask for", prefix, name));
    return found->second.to(context.device, compute_);
  };
  if (!languages_.emplace(language, make_language(values, options, context.spec)).second)
    refuse(fmt::format("madx.language_adapters names two adapters of the language {}", language));
  digests_[language] = run.xxh128;
}

void Madx::require_adapter(const std::string& language) const {
  if (languages_.contains(language)) return;
  std::vector<std::string> known;
  for (const auto& [name, adapter] : languages_) known.push_back(name);
  throw UserError(ExitCode::kBadConfig,
                  fmt::format("no adapter of the language {}: madx.language_adapters names the runs of {}; train one "
                              "with madx.train = language and train.pairs = mlm:{}, and add its folder",
                              language, names_of(known), language));
}

void Madx::select(const std::vector<data::Pair>& pairs, bool training, int64_t) {
  for (const data::Pair& pair : pairs) require_adapter(pair.base_language());
  pairs_ = pairs;
  if (training) parameters_.use_group(kGroup);
}

const Madx::LanguageAdapter& Madx::language_of(int64_t pair) const {
  return languages_.at(pairs_.at(static_cast<size_t>(pair)).base_language());
}

std::string Madx::built_on(const std::string& language) const {
  const auto found = digests_.find(language);
  return found == digests_.end() ? "" : "adapter=" + found->second.substr(0, kShownDigest);
}

at::Tensor Madx::after_embeddings(const at::Tensor& x, const std::vector<PairRows>& pairs) {
  return by_pair(x, pairs, [&](const at::Tensor& rows, int64_t pair, const auto&) {
    const auto& invertible = language_of(pair).invertible;
    return invertible ? invertible->forward(rows) : rows;
  });
}

at::Tensor Madx::end_layer(int64_t layer, const LayerEnd& end) {
  const at::Tensor output = end.dropout.probability > 0
                                ? keyed_dropout(end.down.product(end.inner), end.down.bias(), end.dropout)
                                : end.down(end.inner);
  const auto index = static_cast<size_t>(layer);
  return by_pair(output, end.pairs, [&](at::Tensor u, int64_t pair, const auto& rows_of) {
    const at::Tensor x = rows_of(end.residual);
    std::vector<const Bottleneck*> stack{&language_of(pair).layers[index]};
    if (!task_.empty()) stack.push_back(&task_[index]);
    at::Tensor change, bias;  // what the last adapter adds to u
    for (const Bottleneck* adapter : stack) {
      const at::Tensor input = change.defined() ? residual_norm(change, bias, {}, u, x, end.norm)
                                                : residual_norm(u, {}, {}, x, {}, end.norm);
      if (change.defined()) u = u + change + bias;
      change = adapter->up.product(at::relu(adapter->down(input)));
      bias = adapter->up.bias();
    }
    return residual_norm(change, bias, {}, u, x, end.norm);
  });
}

at::Tensor Madx::before_decoder(int64_t pair, const at::Tensor& x) {
  const auto& invertible = language_of(pair).invertible;
  return invertible ? invertible->inverse(x) : x;
}

std::unique_ptr<Method> make_madx(const MethodContext& context) { return std::make_unique<Madx>(context); }

}  // namespace hyperx::model

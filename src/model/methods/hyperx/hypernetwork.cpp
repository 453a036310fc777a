#include "model/methods/hyperx/hypernetwork.h"

#include <ATen/ATen.h>

#include <numeric>

#include "common/errors.h"
#include "model/methods/hyperx/generator.h"

namespace hyperx::model {
namespace {

constexpr double kGeneratorDeviation = 0.02;  // the release's actual initial value (docs/method.md section 1)
constexpr double kEmbeddingDeviation = 1.0;

const char* const kSource = "source";  // not exchanged: every rank derives its gradient from ds

// "down_weight" -> "weight_down": generators are named after what they generate, as in docs/method.md.
std::string generator_name(const std::string& part) {
  if (part == "down_weight") return "weight_down";
  if (part == "down_bias") return "bias_down";
  if (part == "up_weight") return "weight_up";
  if (part == "up_bias") return "bias_up";
  return part;
}

// At width 0 every name has the same, an empty one.
at::Tensor embedding_of(const std::map<std::string, at::Tensor>& table, const std::string& name, const char* kind) {
  const auto it = table.find(name);
  if (it != table.end()) return it->second;
  if (!table.empty() && table.begin()->second.numel() == 0) return table.begin()->second;
  std::string known;
  for (const auto& [key, value] : table) known += (known.empty() ? "" : ", ") + key;
  throw UserError(ExitCode::kBadConfig,
                  std::string("the model has no embedding of the ") + kind + " '" + name + "'; it knows " + known);
}

}  // namespace

int64_t ThetaPart::size() const { return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>()); }

void Hypernetwork::lay_out(const HyperXOptions& options, int64_t hidden) {
  const int64_t b = options.adapter_dim;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    parts_.push_back({name, theta_size_, std::move(shape)});
    theta_size_ += parts_.back().size();
  };
  add("down_weight", {b, hidden});
  add("down_bias", {b});
  add("up_weight", {hidden, b});
  add("up_bias", {hidden});
  for (const auto& [setting, name] :
       {std::pair{&options.adapter_norm_before, "norm_before"}, {&options.adapter_norm_after, "norm_after"}}) {
    if (*setting != "conditional") continue;
    add(std::string(name) + "_weight", {hidden});
    add(std::string(name) + "_bias", {hidden});
  }
}

Hypernetwork::Hypernetwork(const HyperXOptions& sizes, const MethodContext& context, GeneratorShard shard)
    : shard_(std::move(shard)), layers_(context.spec.layers) {
  lay_out(sizes, context.spec.hidden);
  const at::TensorOptions options = at::TensorOptions().dtype(context.master).device(context.device);
  const uint64_t seed = context.config.train.seed;
  ParameterSet& parameters = context.parameters;
  const auto draw = [&](const std::string& name, at::IntArrayRef shape, double deviation) {
    return parameters.add(name, kSource, normal_tensor(shape, deviation, seed, name, options), false).value;
  };
  const auto draw_embedding = [&](const std::string& name, int64_t width) {
    return width == 0 ? at::empty({0}, options) : draw("embeddings." + name, {width}, kEmbeddingDeviation);
  };
  for (const std::string& task : context.tasks.names())
    task_embeddings_[task] = draw_embedding("task." + task, sizes.task_dim);
  for (const std::string& language : context.languages)
    language_embeddings_[language] = draw_embedding("language." + language, sizes.language_dim);
  if (sizes.layer_dim > 0)
    for (int64_t i = 0; i < layers_; ++i)
      layer_embeddings_.push_back(
          draw("embeddings.layer." + std::to_string(i), {sizes.layer_dim}, kEmbeddingDeviation));

  const int64_t source = sizes.task_dim + sizes.language_dim + sizes.layer_dim;
  projected_ = sizes.projected_dim > 0 ? sizes.projected_dim : source;
  if (sizes.projected_dim > 0) {
    const int64_t inner = sizes.source_hidden_dim;
    hidden_weight_ = draw("projection.hidden.weight", {inner, source}, kGeneratorDeviation);
    hidden_bias_ = parameters.add("projection.hidden.bias", kSource, at::zeros({inner}, options), false).value;
    output_weight_ = draw("projection.output.weight", {projected_, inner}, kGeneratorDeviation);
    output_bias_ = parameters.add("projection.output.bias", kSource, at::zeros({projected_}, options), false).value;
  }
  draw_generators(seed, options);
}

std::string Hypernetwork::generator_prefix(size_t group) const {
  return has_layer_embedding() ? "hypernetwork." : "hypernetwork." + std::to_string(group) + ".";
}

void Hypernetwork::draw_generators(uint64_t seed, const at::TensorOptions& options) {
  const int64_t groups = has_layer_embedding() ? 1 : layers_, own_end = own_begin() + own_rows();
  for (int64_t group = 0; group < groups; ++group) {
    generators_.push_back({at::empty({own_rows(), projected_}, options), at::zeros({own_rows()}, options)});
    for (const ThetaPart& part : parts_) {
      const int64_t begin = std::max(part.begin, own_begin()), end = std::min(part.begin + part.size(), own_end);
      if (begin >= end) continue;
      const std::string name = generator_prefix(static_cast<size_t>(group)) + generator_name(part.name) + ".weight";
      draw_normal(generators_.back().weight.narrow(0, begin - own_begin(), end - begin),
                  (begin - part.begin) * projected_, kGeneratorDeviation, seed, name);
    }
  }
}

NamedTensors Hypernetwork::named_views_of(const std::vector<Generator>& like) const {
  NamedTensors views;
  for (size_t group = 0; group < like.size(); ++group)
    for (const ThetaPart& part : parts_) {
      const std::string name = generator_prefix(group) + generator_name(part.name);
      views.push_back({name + ".weight", like[group].weight.narrow(0, part.begin, part.size())});
      views.push_back({name + ".bias", like[group].bias.narrow(0, part.begin, part.size())});
    }
  return views;
}

at::Tensor Hypernetwork::sources(const std::vector<data::Pair>& pairs) const {
  std::vector<at::Tensor> rows;
  for (const data::Pair& pair : pairs) {
    const at::Tensor task = embedding_of(task_embeddings_, pair.task, "task");
    const at::Tensor language = embedding_of(language_embeddings_, pair.base_language(), "language");
    if (!has_layer_embedding()) rows.push_back(at::cat({task, language}));
    for (const at::Tensor& layer : layer_embeddings_) rows.push_back(at::cat({task, language, layer}));
  }
  const at::Tensor source = at::stack(rows);
  if (!hidden_weight_.defined()) return source;
  return at::linear(at::linear(source, hidden_weight_, hidden_bias_).relu(), output_weight_, output_bias_);
}

void Hypernetwork::generate(const at::Tensor& sources, at::Tensor theta) const {
  const int64_t rows = theta.size(0) * layers_;
  const bool whole = shard_.ranks == 1;
  at::Tensor own = whole ? theta : at::empty({theta.size(0), layers_, share()}, theta.options());
  for (size_t group = 0; group < generators_.size(); ++group)
    model::generate(generators_[group].weight, generators_[group].bias, sources,
                    rows_of_group(whole ? own : own.narrow(2, 0, own_rows()), group));
  if (whole) return;
  const at::Tensor gathered = shard_.gather(own.view({rows, share()}));
  for (int64_t rank = 0; rank < shard_.ranks; ++rank) {
    const int64_t begin = std::min(rank * share(), theta_size_), count = std::min(share(), theta_size_ - begin);
    theta.view({rows, theta_size_}).narrow(1, begin, count).copy_(gathered[rank].narrow(1, 0, count));
  }
}

void Hypernetwork::reserve(const at::Tensor& theta) const {
  if (!is_sharded()) return;
  const at::Tensor own = at::empty({theta.size(0), layers_, share()}, theta.options());
  at::empty({shard_.ranks, theta.size(0) * layers_, share()}, theta.options());
}

void Hypernetwork::mark_used(const std::vector<data::Pair>& pairs, ParameterSet& parameters) const {
  parameters.use_group(kSource);
  for (const auto& parameter : parameters.all()) {
    if (parameter->name.rfind("embeddings.task.", 0) != 0 && parameter->name.rfind("embeddings.language.", 0) != 0)
      continue;
    parameter->used = false;
    for (const data::Pair& pair : pairs)
      if (parameter->name == "embeddings.task." + pair.task ||
          parameter->name == "embeddings.language." + pair.base_language())
        parameter->used = true;
  }
}

at::Tensor Hypernetwork::rows_of_group(const at::Tensor& g, size_t group) const {
  return has_layer_embedding() ? g.view({g.size(0) * layers_, g.size(2)}) : g.select(1, static_cast<int64_t>(group));
}

int64_t Hypernetwork::element_count() const {
  return static_cast<int64_t>(generators_.size()) * theta_size_ * (projected_ + 1);
}

}  // namespace hyperx::model

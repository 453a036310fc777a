#include "model/methods/psf/psf.h"

#include <ATen/ATen.h>
#include <spdlog/fmt/fmt.h>

#include <set>

#include "common/errors.h"
#include "common/random.h"
#include "model/ops/cpu/dropout.h"

namespace hyperx::model {
namespace {

const char* const kGroup = "psf";
constexpr double kDeviation = 0.02;

std::string group_of(const std::string& task) { return std::string(kGroup) + "." + task; }

// At least two labelled tasks, each in at least two languages: with less there is nothing to factorise.
void require_mixed_languages(const MethodContext& context) {
  const auto refuse = [](const std::string& what) {
    throw UserError(ExitCode::kBadConfig,
                    "model.method = psf factorises tasks and languages, and needs train.pairs with at least two "
                    "labelled tasks, each in at least two languages: " +
                        what);
  };
  for (const auto& task : context.tasks) {
    if (task->masked()) refuse(fmt::format("{} has no labels; leave it out", task->name()));
    if (task->is_tree()) refuse(fmt::format("{} has no last layer that it could generate; leave it out", task->name()));
  }
  std::map<std::string, std::set<std::string>> languages;
  for (const data::Pair& pair : context.pairs) languages[pair.task].insert(pair.base_language());
  if (context.tasks.size() < 2) refuse("there is one task");
  for (const auto& [task, names] : languages)
    if (names.size() < 2) refuse(fmt::format("{} is there in {} alone", task, *names.begin()));
}

template <class Names>
std::map<std::string, int64_t> rows_of(const Names& names) {
  std::map<std::string, int64_t> rows;
  for (const std::string& name : names) rows[name] = 0;
  int64_t row = 0;
  for (auto& [name, index] : rows) index = row++;
  return rows;
}

}  // namespace

Psf::Psf(const MethodContext& context)
    : options_(context.config.sections.get<PsfOptions>()),
      parameters_(context.parameters),
      seed_(context.config.train.seed),
      dropout_(context.config.model.dropout),
      hidden_(context.spec.hidden),
      total_steps_(context.steps),
      ranks_(context.ranks == nullptr ? 1 : context.ranks->size()),
      language_rows_(rows_of(context.languages)),
      task_rows_(rows_of(context.tasks.names())) {
  require_mixed_languages(context);
  languages_ = make_posterior(context, "languages", language_rows_);
  tasks_ = make_posterior(context, "tasks", task_rows_);
  const at::TensorOptions tensor = at::TensorOptions().dtype(context.master).device(context.device);
  const auto layer = [&](const std::string& name, const std::string& group, int64_t out, int64_t in) {
    return Layer{
        parameters_.add(name + ".weight", group, normal_tensor({out, in}, kDeviation, seed_, name + ".weight", tensor))
            .value,
        parameters_.add(name + ".bias", group, at::zeros({out}, tensor)).value};
  };
  const int64_t latent = options_.latent_dim, depth = options_.mlp_layers;
  for (int64_t i = 0; i < depth; ++i)
    mlp_.push_back(layer("psf.mlp." + std::to_string(i), kGroup, i + 1 == depth ? latent : hidden_,
                         i == 0 ? 4 * latent : hidden_));
  for (const auto& task : context.tasks) {
    const int64_t classes = std::ssize(task->labels());
    const std::string name = "psf.last." + task->name(), group = group_of(task->name());
    last_.emplace(task->name(), TaskLayer{layer(name + ".mean", group, classes * hidden_, latent),
                                          layer(name + ".logvar", group, classes * hidden_, latent),
                                          layer(name + ".bias", group, classes, latent), classes});
  }
}

Posterior Psf::make_posterior(const MethodContext& context, const std::string& kind, const Rows& rows) {
  const at::TensorOptions tensor = at::TensorOptions().dtype(context.master).device(context.device);
  // Row by row, so that another language changes the values of none.
  const auto add = [&](const std::string& part, at::IntArrayRef row_shape) {
    std::vector<at::Tensor> values;
    for (const auto& [name, row] : rows)
      values.push_back(normal_tensor(row_shape, kDeviation, seed_, "psf." + kind + "." + part + "." + name, tensor));
    return parameters_.add("psf." + kind + "." + part, kGroup, at::cat(values)).value;
  };
  Posterior posterior;
  posterior.mean = add("mean", {1, options_.latent_dim});
  posterior.logvar = add("logvar", {1, options_.latent_dim});
  if (options_.posterior == "low-rank") posterior.factor = add("factor", {options_.latent_dim, options_.rank});
  return posterior;
}

void Psf::select(const std::vector<data::Pair>& pairs, bool training, int64_t step) {
  for (const data::Pair& pair : pairs)
    if (!language_rows_.contains(pair.base_language()))
      throw UserError(ExitCode::kBadConfig,
                      fmt::format("the model has learnt nothing of the language {}: PSF tags the languages of its own "
                                  "train.pairs alone",
                                  pair.base_language()));
  pairs_ = pairs;
  training_ = training;
  step_ = step;
  if (!training) return;
  parameters_.use_group(kGroup);
  for (const data::Pair& pair : pairs) parameters_.use_group(group_of(pair.task));
}

// The same on every rank, and for each piece of a mini-batch.
at::Tensor Psf::draw(const std::string& what, int64_t pair, at::IntArrayRef shape) const {
  if (replayed_) return replayed_(what, shape);
  const uint64_t key = derive_key(seed_, "psf", static_cast<uint64_t>(step_));
  return normal_tensor(shape, 1, key, std::to_string(pair) + "." + what,
                       languages_.mean.options().requires_grad(false));
}

at::Tensor Psf::mlp(const at::Tensor& language, const at::Tensor& task, int64_t pair) const {
  at::Tensor x = at::cat({language, task, language - task, language * task}, 1);
  const at::TensorOptions whole = x.options().dtype(at::kLong).requires_grad(false);
  const RowKeys rows{at::arange(x.size(0), whole), at::full({x.size(0)}, pair, whole)};
  for (size_t i = 0; i < mlp_.size(); ++i) {
    x = at::relu(at::linear(x, mlp_[i].weight, mlp_[i].bias));
    if (!training_ || dropout_ == 0) continue;
    const uint64_t key = derive_key(seed_, "psf.dropout." + std::to_string(i), static_cast<uint64_t>(step_));
    x = keyed_dropout(x, {}, {rows, dropout_, {philox_key(key)}});
  }
  return x;
}

std::vector<HeadWeights> Psf::head_samples(int64_t pair) {
  const data::Pair& own = pairs_.at(static_cast<size_t>(pair));
  const int64_t language = language_rows_.at(own.base_language()), task = task_rows_.at(own.task);
  const TaskLayer& last = last_.at(own.task);
  const auto weight_of = [&](const at::Tensor& flat) { return flat.view({last.classes, hidden_}); };
  if (!training_) {
    const at::Tensor z = mlp(languages_.mean[language].unsqueeze(0), tasks_.mean[task].unsqueeze(0), pair);
    return {{weight_of(at::linear(z, last.mean.weight, last.mean.bias)[0]),
             at::linear(z, last.bias.weight, last.bias.bias)[0]}};
  }
  const int64_t samples = options_.samples;
  const auto sample = [&](const Posterior& posterior, const std::string& kind, int64_t index) {
    const int64_t width = posterior.is_joint() ? posterior.mean.numel() : options_.latent_dim;
    const at::Tensor zeta = posterior.is_joint() ? draw(kind + ".zeta", pair, {samples, options_.rank}) : at::Tensor();
    return posterior.sample(index, draw(kind, pair, {samples, width}), zeta);
  };
  const at::Tensor z = mlp(sample(languages_, "language", language), sample(tasks_, "task", task), pair);
  const at::Tensor deviation = at::softplus(at::linear(z, last.logvar.weight, last.logvar.bias));
  const at::Tensor weights = at::linear(z, last.mean.weight, last.mean.bias) +
                             deviation * draw("weight", pair, {samples, last.classes * hidden_});
  const at::Tensor biases = at::linear(z, last.bias.weight, last.bias.bias);
  std::vector<HeadWeights> made;
  for (int64_t i = 0; i < samples; ++i) made.push_back({weight_of(weights[i]), biases[i]});
  return made;
}

at::Tensor Psf::divergence(int64_t pair) const {
  const data::Pair& own = pairs_.at(static_cast<size_t>(pair));
  return languages_.divergence(language_rows_.at(own.base_language())) + tasks_.divergence(task_rows_.at(own.task));
}

at::Tensor Psf::extra_loss() {
  at::Tensor sum;
  for (int64_t pair = 0; pair < std::ssize(pairs_); ++pair)
    sum = sum.defined() ? sum + divergence(pair) : divergence(pair);
  return sum / (static_cast<double>(total_steps_) * static_cast<double>(pairs_.size()) * ranks_);
}

at::Tensor Psf::loss_divisor(const at::Tensor& words) const {
  return options_.word_average == "twice" ? words.square() : words;
}

std::unique_ptr<Method> make_psf(const MethodContext& context) { return std::make_unique<Psf>(context); }

}  // namespace hyperx::model

#include "trainer/optimizer.h"

#include <ATen/record_function.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "common/errors.h"

namespace hyperx::train {
namespace {

using model::Hypernetwork;

constexpr double kClipEpsilon = 1e-6;

double sum_of_squares(const at::Tensor& tensor) {
  return std::pow(at::linalg_vector_norm(tensor, 2, at::OptionalIntArrayRef(), false, at::kDouble).item<double>(), 2);
}

std::vector<Hypernetwork::Generator> zeros_like(const std::vector<Hypernetwork::Generator>& generators) {
  std::vector<Hypernetwork::Generator> zeros;
  for (const auto& generator : generators)
    zeros.push_back({torch::zeros_like(generator.weight), torch::zeros_like(generator.bias)});
  return zeros;
}

}  // namespace

Optimizer::Optimizer(model::Model& model, const OptimizerOptions& options) : model_(model), options_(options) {
  at::NoGradGuard no_gradient;
  for (const auto& parameter : model.parameters().all())
    states_.push_back({torch::zeros_like(parameter->value), torch::zeros_like(parameter->value), 0});
  if (model.hyperx() == nullptr) return;
  generator_m_ = zeros_like(model.hyperx()->hypernetwork().generators());
  generator_v_ = zeros_like(model.hyperx()->hypernetwork().generators());
}

GeneratorGradient Optimizer::factored_gradient(const at::Tensor& g) const {
  GeneratorGradient gradient;
  gradient.factors = g;
  const Hypernetwork& hypernetwork = model_.hyperx()->hypernetwork();
  const at::Tensor s = model_.hyperx()->sources().detach();
  for (size_t group = 0; group < hypernetwork.generators().size(); ++group) {
    const model::FactorSums sums =
        model::factor_sums(hypernetwork.generators()[group].weight, hypernetwork.group_gradient(g, group));
    gradient.norm_squared += model::factored_norm_squared(sums.gram, s);
    gradient.source_gradient = group == 0 ? sums.source_gradient : gradient.source_gradient + sums.source_gradient;
  }
  return gradient;
}

GeneratorGradient Optimizer::dense_gradient() const {
  if (model_.hyperx() == nullptr) return {};
  const at::Tensor& all = model_.hyperx()->theta_gradient();
  GeneratorGradient gradient = factored_gradient(all);
  const Hypernetwork& hypernetwork = model_.hyperx()->hypernetwork();
  const at::Tensor s = model_.hyperx()->sources().detach();
  for (size_t group = 0; group < hypernetwork.generators().size(); ++group) {
    const at::Tensor g = hypernetwork.group_gradient(all, group);
    gradient.dense.push_back({at::mm(g.t(), s), g.sum(0)});
  }
  return gradient;
}

double Optimizer::norm_squared(const GeneratorGradient& generator) const {
  double total = 0;
  for (const auto& parameter : model_.parameters().all())
    if (parameter->used) total += sum_of_squares(parameter->gradient);
  if (generator.dense.empty()) return total + generator.norm_squared;
  for (const auto& [weight, bias] : generator.dense) total += sum_of_squares(weight) + sum_of_squares(bias);
  return total;
}

UpdateReport Optimizer::update(const GeneratorGradient& generator, double rate) {
  if (model_.hyperx() != nullptr) {
    // P and the embeddings: from ds, the same on every rank. The graph is used once a step.
    const at::Tensor& sources = model_.hyperx()->sources();
    sources.backward(generator.source_gradient.to(sources.device(), sources.scalar_type()));
  }
  at::NoGradGuard no_gradient;
  UpdateReport report;
  report.gradient_norm = std::sqrt(norm_squared(generator));
  report.finite = std::isfinite(report.gradient_norm);
  if (!report.finite) return report;
  const double scale =
      options_.clip_norm > 0 ? std::min(1.0, options_.clip_norm / (report.gradient_norm + kClipEpsilon)) : 1.0;

  const auto& parameters = model_.parameters().all();
  for (size_t i = 0; i < parameters.size(); ++i) {
    State& state = states_[i];
    if (!parameters[i]->used && state.count == 0) continue;
    ++state.count;
    model::adam_update(parameters[i]->value, parameters[i]->gradient, state.m, state.v, state.count, rate, scale,
                       options_.adam);
  }
  if (model_.hyperx() != nullptr) {
    RECORD_USER_SCOPE("hyperx::generator");
    update_generators(generator, rate, scale);
  }
  return report;
}

void Optimizer::update_generators(const GeneratorGradient& generator, double rate, double scale) {
  Hypernetwork& hypernetwork = model_.hyperx()->hypernetwork();
  const at::Tensor s = model_.hyperx()->sources().detach();
  model::AdamOptions bias_options = options_.adam;
  bias_options.weight_decay = 0;
  ++generator_count_;
  for (size_t group = 0; group < hypernetwork.generators().size(); ++group) {
    auto& [w, c] = hypernetwork.generators()[group];
    auto& [w_m, c_m] = generator_m_[group];
    auto& [w_v, c_v] = generator_v_[group];
    if (generator.dense.empty()) {
      model::low_rank_adam_update(w, c, w_m, w_v, c_m, c_v, hypernetwork.group_gradient(generator.factors, group), s,
                                  generator_count_, rate, scale, options_.adam);
    } else {
      model::adam_update(w, generator.dense[group].weight, w_m, w_v, generator_count_, rate, scale, options_.adam);
      model::adam_update(c, generator.dense[group].bias, c_m, c_v, generator_count_, rate, scale, bias_options);
    }
  }
}

std::vector<Hypernetwork::NamedView> Optimizer::named_moments() const {
  std::vector<Hypernetwork::NamedView> moments;
  const auto& parameters = model_.parameters().all();
  for (size_t i = 0; i < parameters.size(); ++i) {
    moments.push_back({"m/" + parameters[i]->name, states_[i].m});
    moments.push_back({"v/" + parameters[i]->name, states_[i].v});
  }
  return moments;
}

std::vector<std::pair<std::string, int64_t>> Optimizer::counts() const {
  std::vector<std::pair<std::string, int64_t>> counts;
  const auto& parameters = model_.parameters().all();
  for (size_t i = 0; i < parameters.size(); ++i) counts.emplace_back(parameters[i]->name, states_[i].count);
  counts.emplace_back("hypernetwork", generator_count_);
  return counts;
}

void Optimizer::set_count(const std::string& name, int64_t count) {
  if (name == "hypernetwork") {
    generator_count_ = count;
    return;
  }
  const auto& parameters = model_.parameters().all();
  for (size_t i = 0; i < parameters.size(); ++i)
    if (parameters[i]->name == name) states_[i].count = count;
}

}  // namespace hyperx::train

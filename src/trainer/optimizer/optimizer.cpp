#include "trainer/optimizer/optimizer.h"

#include <ATen/record_function.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "common/errors.h"
#include "model/ops/adam_on_device.h"
#include "model/ops/own_kernels.h"

namespace hyperx::train {
namespace {

using model::Hypernetwork;

at::Tensor sum_of_squares(const at::Tensor& tensor) {
  return at::linalg_vector_norm(tensor, 2, at::OptionalIntArrayRef(), false, at::kDouble).square();
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
  const at::Device device = model.options().device;
  const at::TensorOptions longs = at::TensorOptions().dtype(at::kLong).device(device);
  for (const std::string& group : model.parameters().groups()) {
    State state;
    state.parameters = model.parameters().of_group(group);
    state.values = model.parameters().group_values(group);
    state.gradient = model.parameters().group_gradient(group);
    state.m = torch::zeros_like(state.values);
    state.v = torch::zeros_like(state.values);
    state.counts = torch::zeros({std::ssize(state.parameters)}, longs);
    state.active = torch::zeros({std::ssize(state.parameters)}, longs.dtype(at::kBool));
    if (is_queued()) {
      std::vector<int64_t> sizes;
      for (const model::Parameter* parameter : state.parameters) sizes.push_back(parameter->value.numel());
      state.owners =
          torch::repeat_interleave(torch::tensor(at::ArrayRef<int64_t>(sizes), torch::kLong)).to(device, at::kInt);
    }
    states_.push_back(std::move(state));
  }
  generator_count_ = torch::zeros({1}, longs);
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
    const at::Tensor norm_squared = model::factored_norm_squared(sums.gram, s);
    gradient.norm_squared = group == 0 ? norm_squared : gradient.norm_squared + norm_squared;
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

at::Tensor Optimizer::norm_squared(const GeneratorGradient& generator) const {
  std::vector<at::Tensor> parts;  // what a step does not use has no gradient
  for (const std::string& group : model_.parameters().used_groups())
    parts.push_back(sum_of_squares(model_.parameters().group_gradient(group)));
  for (const auto& [weight, bias] : generator.dense) {
    parts.push_back(sum_of_squares(weight));
    parts.push_back(sum_of_squares(bias));
  }
  if (generator.dense.empty() && generator.norm_squared.defined()) parts.push_back(generator.norm_squared);
  return torch::stack(parts).sum();
}

UpdateReport Optimizer::update(const GeneratorGradient& generator, double rate) {
  if (model_.hyperx() != nullptr) {
    // P and the embeddings: from ds, the same on every rank. The graph is used once a step.
    const at::Tensor& sources = model_.hyperx()->sources();
    sources.backward(generator.source_gradient.to(sources.device(), sources.scalar_type()));
  }
  at::NoGradGuard no_gradient;
  const UpdateReport report{norm_squared(generator).sqrt()};
  if (is_queued())
    queue_update(generator, rate, report.gradient_norm);
  else
    update_now(generator, rate, report.gradient_norm.item<double>());
  return report;
}

void Optimizer::update_now(const GeneratorGradient& generator, double rate, double norm) {
  if (!std::isfinite(norm)) return;
  const double scale = options_.clip_norm > 0 ? std::min(1.0, options_.clip_norm / (norm + model::kClipEpsilon)) : 1.0;
  for (State& state : states_) {
    auto* const counts = state.counts.data_ptr<int64_t>();
    int64_t offset = 0;
    for (size_t i = 0; i < state.parameters.size(); ++i) {
      const model::Parameter& parameter = *state.parameters[i];
      const int64_t begin = offset, size = parameter.value.numel();
      offset += size;
      if (!parameter.used && counts[i] == 0) continue;
      model::adam_update(parameter.value, parameter.gradient, state.m.narrow(0, begin, size),
                         state.v.narrow(0, begin, size), ++counts[i], rate, scale, options_.adam);
    }
  }
  if (model_.hyperx() == nullptr) return;
  RECORD_USER_SCOPE("hyperx::generator");
  Hypernetwork& hypernetwork = model_.hyperx()->hypernetwork();
  const at::Tensor s = model_.hyperx()->sources().detach();
  model::AdamOptions bias_options = options_.adam;
  bias_options.weight_decay = 0;
  const int64_t count = ++*generator_count_.data_ptr<int64_t>();
  for (size_t group = 0; group < hypernetwork.generators().size(); ++group) {
    auto& [w, c] = hypernetwork.generators()[group];
    auto& [w_m, c_m] = generator_m_[group];
    auto& [w_v, c_v] = generator_v_[group];
    if (generator.dense.empty()) {
      model::low_rank_adam_update(w, c, w_m, w_v, c_m, c_v, hypernetwork.group_gradient(generator.factors, group), s,
                                  count, rate, scale, options_.adam);
    } else {
      model::adam_update(w, generator.dense[group].weight, w_m, w_v, count, rate, scale, options_.adam);
      model::adam_update(c, generator.dense[group].bias, c_m, c_v, count, rate, scale, bias_options);
    }
  }
}

std::vector<model::AdamTensors> Optimizer::tensors_of(const State& state) {
  std::vector<model::AdamTensors> tensors;
  int64_t offset = 0;
  for (const model::Parameter* parameter : state.parameters) {
    const int64_t size = parameter->value.numel(), place = std::ssize(tensors);
    tensors.push_back({state.values.narrow(0, offset, size), state.gradient.narrow(0, offset, size),
                       state.m.narrow(0, offset, size), state.v.narrow(0, offset, size),
                       state.counts.narrow(0, place, 1), state.active.narrow(0, place, 1)});
    offset += size;
  }
  return tensors;
}

void Optimizer::queue_update(const GeneratorGradient& generator, double rate, const at::Tensor& norm) {
  const at::Device device = norm.device();
  const at::Tensor control = model::update_control(norm, options_.clip_norm, states_.front().values.scalar_type());
  const auto on_device = [&](const std::vector<uint8_t>& flags) {
    return torch::tensor(at::ArrayRef<uint8_t>(flags), torch::kByte).to(device, at::kBool, true);
  };
  for (State& state : states_) {
    std::vector<uint8_t> used;
    for (const model::Parameter* parameter : state.parameters) used.push_back(parameter->used ? 1 : 0);
    const model::StepFactors factors = model::next_step(state.counts, on_device(used), control, rate, options_.adam);
    if constexpr (model::kHasOwnKernels) {
      if (model::own_kernels_take(state.values)) {
        state.active.copy_(factors.active);
        if (!state.table.rows.defined()) state.table = model::cuda_adam_table(tensors_of(state));
        model::cuda_adam(state.table, control, rate, options_.adam);
        continue;
      }
    }
    const model::StepFactors by_element{
        {}, factors.active.index_select(0, state.owners), factors.step_size.index_select(0, state.owners)};
    model::adam_on_device(state.values, state.gradient, state.m, state.v, by_element, control, rate, options_.adam);
  }
  if (model_.hyperx() == nullptr) return;
  RECORD_USER_SCOPE("hyperx::generator");
  Hypernetwork& hypernetwork = model_.hyperx()->hypernetwork();
  const at::Tensor s = model_.hyperx()->sources().detach();
  model::AdamOptions bias_options = options_.adam;
  bias_options.weight_decay = 0;
  const model::StepFactors factors = model::next_step(generator_count_, on_device({1}), control, rate, options_.adam);
  for (size_t group = 0; group < hypernetwork.generators().size(); ++group) {
    auto& [w, c] = hypernetwork.generators()[group];
    auto& [w_m, c_m] = generator_m_[group];
    auto& [w_v, c_v] = generator_v_[group];
    if (generator.dense.empty()) {
      model::low_rank_adam_on_device(w, c, w_m, w_v, c_m, c_v, hypernetwork.group_gradient(generator.factors, group), s,
                                     factors, control, rate, options_.adam);
    } else {
      model::adam_on_device(w, generator.dense[group].weight, w_m, w_v, factors, control, rate, options_.adam);
      model::adam_on_device(c, generator.dense[group].bias, c_m, c_v, factors, control, rate, bias_options);
    }
  }
}

std::vector<Hypernetwork::NamedView> Optimizer::named_moments() const {
  std::vector<Hypernetwork::NamedView> moments;
  for (const State& state : states_) {
    int64_t offset = 0;
    for (const model::Parameter* parameter : state.parameters) {
      const auto part_of = [&](const at::Tensor& flat) {
        return flat.narrow(0, offset, parameter->value.numel()).view(parameter->value.sizes());
      };
      moments.push_back({"m/" + parameter->name, part_of(state.m)});
      moments.push_back({"v/" + parameter->name, part_of(state.v)});
      offset += parameter->value.numel();
    }
  }
  return moments;
}

std::vector<std::pair<std::string, int64_t>> Optimizer::counts() const {
  std::vector<std::pair<std::string, int64_t>> counts;
  for (const State& state : states_) {
    const at::Tensor on_host = state.counts.cpu();
    for (size_t i = 0; i < state.parameters.size(); ++i)
      counts.emplace_back(state.parameters[i]->name, on_host.const_data_ptr<int64_t>()[i]);
  }
  counts.emplace_back("hypernetwork", generator_count_.item<int64_t>());
  return counts;
}

void Optimizer::set_count(const std::string& name, int64_t count) {
  if (name == "hypernetwork") generator_count_.fill_(count);
  for (State& state : states_)
    for (size_t i = 0; i < state.parameters.size(); ++i)
      if (state.parameters[i]->name == name) state.counts[static_cast<int64_t>(i)].fill_(count);
}

}  // namespace hyperx::train

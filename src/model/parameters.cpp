#include "model/parameters.h"

#include <ATen/Parallel.h>
#include <torch/torch.h>

#include <cmath>
#include <numbers>
#include <set>

#include "common/errors.h"
#include "common/random.h"

namespace hyperx::model {

Parameter& ParameterSet::add(const std::string& name, const std::string& group, const at::Tensor& initial) {
  HYPERX_CHECK(by_name_.count(name) == 0, "the parameter " + name + " is added twice");
  HYPERX_CHECK(gradients_.empty(), "the gradients are bound already");
  auto parameter = std::make_unique<Parameter>();
  parameter->name = name;
  parameter->group = group;
  parameter->value = initial.detach().clone().set_requires_grad(true);
  by_name_[name] = parameter.get();
  parameters_.push_back(std::move(parameter));
  return *parameters_.back();
}

void ParameterSet::bind_gradients() {
  std::map<std::string, int64_t> sizes;
  for (const auto& parameter : parameters_) sizes[parameter->group] += parameter->value.numel();
  for (const auto& [group, size] : sizes)
    gradients_[group] = torch::zeros({size}, parameters_.front()->value.options().requires_grad(false));
  std::map<std::string, int64_t> offsets;
  for (const auto& parameter : parameters_) {
    const int64_t size = parameter->value.numel();
    int64_t& offset = offsets[parameter->group];
    parameter->gradient = gradients_[parameter->group].narrow(0, offset, size).view(parameter->value.sizes());
    parameter->value.mutable_grad() = parameter->gradient;
    offset += size;
  }
}

Parameter& ParameterSet::at(const std::string& name) {
  const auto it = by_name_.find(name);
  HYPERX_CHECK(it != by_name_.end(), "there is no parameter " + name);
  return *it->second;
}

const Parameter* ParameterSet::find(const std::string& name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : it->second;
}

at::Tensor ParameterSet::group_gradient(const std::string& group) const {
  const auto it = gradients_.find(group);
  HYPERX_CHECK(it != gradients_.end(), "there is no parameter group " + group);
  return it->second;
}

void ParameterSet::begin_step() {
  for (const auto& parameter : parameters_) parameter->used = false;
  for (auto& [group, gradient] : gradients_) gradient.zero_();
}

void ParameterSet::use_group(const std::string& group) {
  for (const auto& parameter : parameters_)
    if (parameter->group == group) parameter->used = true;
}

std::vector<std::string> ParameterSet::used_groups() const {
  std::set<std::string> groups;
  for (const auto& parameter : parameters_)
    if (parameter->used) groups.insert(parameter->group);
  return {groups.begin(), groups.end()};
}

int64_t ParameterSet::element_count() const {
  int64_t count = 0;
  for (const auto& parameter : parameters_) count += parameter->value.numel();
  return count;
}

at::Tensor normal_tensor(at::IntArrayRef shape, double deviation, uint64_t seed, const std::string& name,
                         const at::TensorOptions& options) {
  at::Tensor values = torch::empty(shape, torch::kFloat64);
  double* const out = values.data_ptr<double>();
  const int64_t count = values.numel();
  const PhiloxKey key = philox_key(derive_key(seed, name));
  at::parallel_for(0, (count + 1) / 2, 1 << 14, [&](int64_t begin, int64_t end) {
    for (int64_t pair = begin; pair < end; ++pair) {  // Box-Muller: one block of four words gives two values
      const PhiloxCounter words = philox({static_cast<uint32_t>(pair), static_cast<uint32_t>(pair >> 32), 0, 1}, key);
      const double u1 = (static_cast<double>(words[0]) + static_cast<double>(words[1]) * 0x1p-32 + 0x1p-33) * 0x1p-32;
      const double u2 = (static_cast<double>(words[2]) + static_cast<double>(words[3]) * 0x1p-32) * 0x1p-32;
      const double radius = deviation * std::sqrt(-2.0 * std::log(u1));
      out[2 * pair] = radius * std::cos(2.0 * std::numbers::pi * u2);
      if (2 * pair + 1 < count) out[2 * pair + 1] = radius * std::sin(2.0 * std::numbers::pi * u2);
    }
  });
  return values.to(options);
}

}  // namespace hyperx::model

#include "model/parameters/parameters.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <torch/torch.h>

#include <set>

#include "common/errors.h"
#include "common/random.h"
#include "model/ops/cpu/normal.h"

namespace hyperx::model {
namespace {

constexpr int64_t kDrawnAtOnce = 1 << 15;  // values a thread takes at least

}  // namespace

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

void ParameterSet::bind() {
  HYPERX_CHECK(gradients_.empty() && !parameters_.empty(), "parameters are bound once");
  for (const std::string& group : groups()) {
    const std::vector<Parameter*> members = of_group(group);
    std::vector<at::Tensor> flat;
    for (const Parameter* parameter : members) flat.push_back(parameter->value.detach().reshape({-1}));
    values_[group] = torch::cat(flat);
    gradients_[group] = torch::zeros_like(values_[group]);
    int64_t offset = 0;
    for (Parameter* const parameter : members) {
      const auto part_of = [&](const at::Tensor& whole) {
        return whole.narrow(0, offset, parameter->value.numel()).view(parameter->value.sizes());
      };
      parameter->value.set_data(part_of(values_[group]));  // whoever holds the leaf goes on holding it
      parameter->gradient = part_of(gradients_[group]);
      parameter->value.mutable_grad() = parameter->gradient;
      offset += parameter->value.numel();
    }
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

std::vector<std::string> ParameterSet::groups() const {
  std::set<std::string> names;
  for (const auto& parameter : parameters_) names.insert(parameter->group);
  return {names.begin(), names.end()};
}

std::vector<Parameter*> ParameterSet::of_group(const std::string& group) const {
  std::vector<Parameter*> members;
  for (const auto& parameter : parameters_)
    if (parameter->group == group) members.push_back(parameter.get());
  return members;
}

at::Tensor ParameterSet::group_values(const std::string& group) const {
  const auto it = values_.find(group);
  HYPERX_CHECK(it != values_.end(), "there is no parameter group " + group);
  return it->second;
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

void draw_normal(at::Tensor out, int64_t first, double deviation, uint64_t seed, const std::string& name) {
  const at::NoGradGuard no_gradient;
  if (!out.is_cpu()) {
    at::Tensor host = torch::empty(out.sizes(), out.options().device(at::kCPU));
    draw_normal(host, first, deviation, seed, name);
    out.copy_(host);
    return;
  }
  HYPERX_CHECK(out.is_contiguous() && first >= 0, name + " is drawn into what is no range of its values");
  const PhiloxKey key = philox_key(derive_key(seed, name));
  AT_DISPATCH_FLOATING_TYPES(out.scalar_type(), "draw_normal", [&] {
    scalar_t* const values = out.data_ptr<scalar_t>();
    at::parallel_for(0, out.numel(), kDrawnAtOnce, [&](int64_t begin, int64_t end) {
      normal_values(values + begin, first + begin, end - begin, deviation, key);
    });
  });
}

at::Tensor normal_tensor(at::IntArrayRef shape, double deviation, uint64_t seed, const std::string& name,
                         const at::TensorOptions& options) {
  at::Tensor values = torch::empty(shape, options);
  draw_normal(values, 0, deviation, seed, name);
  return values;
}

}  // namespace hyperx::model

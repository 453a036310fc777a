#include "model/parameters/parameters.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include "common/errors.h"
#include "common/random.h"
#include "model/ops/cpu/normal.h"

namespace hyperx::model {
namespace {

bool is_bias_or_norm(const std::string& name) {
  return name.ends_with(".bias") || name.find("LayerNorm.") != std::string::npos ||
         name.find("norm_before.") != std::string::npos || name.find("norm_after.") != std::string::npos;
}

constexpr int64_t kDrawnAtOnce = 1 << 15;  // minimum number of values per thread

}  // namespace

Parameter& ParameterSet::add(const std::string& name, const std::string& group, const at::Tensor& initial,
                             bool exchanged) {
  HYPERX_CHECK(by_name_.count(name) == 0, "the parameter " + name + " is added twice");
  HYPERX_CHECK(blocks_.empty(), "the parameters are bound already");
  auto parameter = std::make_unique<Parameter>();
  parameter->name = name;
  parameter->group = group;
  parameter->decays = !is_bias_or_norm(name);
  parameter->value = initial.detach().clone().set_requires_grad(true);
  if (!exchanged) not_exchanged_.insert(group);
  by_name_[name] = parameter.get();
  parameters_.push_back(std::move(parameter));
  return *parameters_.back();
}

void ParameterSet::bind() {
  HYPERX_CHECK(blocks_.empty() && !parameters_.empty(), "parameters are bound once");
  std::map<std::string, std::vector<Parameter*>> groups;
  for (const auto& parameter : parameters_) groups[parameter->group].push_back(parameter.get());
  for (auto& [group, members] : groups)
    blocks_.push_back(std::make_unique<DenseBlock>(group, std::move(members), !not_exchanged_.contains(group)));
  for (auto& block : method_blocks_) blocks_.push_back(std::move(block));
  method_blocks_.clear();
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

void ParameterSet::begin_step() {
  for (const auto& block : blocks_) block->begin_step();
}

void ParameterSet::use_group(const std::string& group) {
  for (const auto& parameter : parameters_)
    if (parameter->group == group) parameter->used = true;
}

int64_t ParameterSet::element_count() const {
  int64_t count = 0;
  for (const auto& block : blocks_) count += block->element_count();
  return count;
}

NamedTensors ParameterSet::named_values() const {
  NamedTensors tensors;
  for (const auto& block : blocks_)
    for (NamedTensor& tensor : block->loadable(StatePart::kValues)) tensors.push_back(std::move(tensor));
  return tensors;
}

void draw_normal(at::Tensor out, int64_t first, double deviation, uint64_t seed, const std::string& name) {
  const at::NoGradGuard no_gradient;
  if (!out.is_cpu()) {
    at::Tensor host = at::empty(out.sizes(), out.options().device(at::kCPU));
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
  at::Tensor values = at::empty(shape, options);
  draw_normal(values, 0, deviation, seed, name);
  return values;
}

}  // namespace hyperx::model

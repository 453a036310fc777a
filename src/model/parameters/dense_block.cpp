#include "model/parameters/dense_block.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "common/errors.h"
#include "model/ops/own_kernels.h"

namespace hyperx::model {

at::Tensor sum_of_squares(const at::Tensor& tensor) {
  return at::linalg_vector_norm(tensor, 2, at::OptionalIntArrayRef(), false, at::kDouble).square();
}

DenseBlock::DenseBlock(std::string name, std::vector<Parameter*> parameters, bool exchanged)
    : ParameterBlock(std::move(name)), parameters_(std::move(parameters)), exchanged_(exchanged) {
  std::vector<at::Tensor> flat;
  int64_t offset = 0;
  for (const Parameter* const parameter : parameters_) {
    flat.push_back(parameter->value.detach().reshape({-1}));
    offsets_.push_back(offset);
    offset += parameter->value.numel();
  }
  values_ = at::cat(flat);
  gradient_ = at::zeros_like(values_);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Parameter& parameter = *parameters_[i];
    parameter.value.set_data(part_of(values_, i));  // existing references to the leaf stay valid
    parameter.gradient = part_of(gradient_, i);
    parameter.value.mutable_grad() = parameter.gradient;
  }
}

at::Tensor DenseBlock::part_of(const at::Tensor& flat, size_t index) const {
  const at::Tensor& value = parameters_[index]->value;
  return flat.narrow(0, offsets_[index], value.numel()).view(value.sizes());
}

void DenseBlock::begin_step() {
  for (Parameter* const parameter : parameters_) parameter->used = false;
  gradient_.zero_();
}

bool DenseBlock::is_used() const {
  return std::any_of(parameters_.begin(), parameters_.end(), [](const Parameter* each) { return each->used; });
}

// Backward passes go from the last layer to the first; parameters were added from the first to the last.
std::vector<GradientBucket> DenseBlock::buckets(int64_t bytes) const {
  if (!exchanged_ || static_cast<int64_t>(gradient_.nbytes()) <= bytes) return {};
  std::vector<GradientBucket> buckets;
  int64_t end = gradient_.numel();
  std::vector<at::Tensor> leaves;
  for (size_t i = parameters_.size(); i-- > 0;) {
    leaves.push_back(parameters_[i]->value);
    const int64_t size = end - offsets_[i];
    if (i > 0 && size * static_cast<int64_t>(gradient_.element_size()) < bytes) continue;
    buckets.push_back({gradient_.narrow(0, offsets_[i], size), std::exchange(leaves, {})});
    end = offsets_[i];
  }
  return buckets;
}

std::vector<Message> DenseBlock::messages(int round, const StepRanks&) {
  if (round > 0 || !exchanged_ || !is_used()) return {};
  return {{Message::Kind::kSum, gradient_}};
}

void DenseBlock::begin_training(const UpdateOptions& options) {
  const at::TensorOptions longs = at::TensorOptions().dtype(at::kLong).device(values_.device());
  m_ = at::zeros_like(values_);
  v_ = at::zeros_like(values_);
  counts_ = at::zeros({std::ssize(parameters_)}, longs);
  active_ = at::zeros({std::ssize(parameters_)}, longs.dtype(at::kBool));
  if (options.fused_on(values_.device())) return;
  std::vector<int64_t> sizes;
  for (const Parameter* const parameter : parameters_) sizes.push_back(parameter->value.numel());
  owners_ = at::repeat_interleave(at::tensor(at::ArrayRef<int64_t>(sizes), at::kLong)).to(values_.device(), at::kInt);
  if (options.adam.weight_decay == 0) return;
  std::vector<uint8_t> decays;
  for (const Parameter* const parameter : parameters_) decays.push_back(parameter->decays ? 1 : 0);
  decays_ = at::tensor(at::ArrayRef<uint8_t>(decays), at::kByte).to(values_.device(), at::kBool);
  decays_ = decays_.index_select(0, owners_);
}

void DenseBlock::update(const AdamStep& step) {
  HYPERX_CHECK(m_.defined(), "begin_training comes before updates");
  std::vector<uint8_t> used;
  for (const Parameter* const parameter : parameters_) used.push_back(parameter->used ? 1 : 0);
  const StepFactors factors = next_step(counts_, used, step);
  step.fused ? update_each(factors, step) : update_all(factors, step);
}

void DenseBlock::update_each(const StepFactors& factors, const AdamStep& step) {
  const AdamStep without_decay = step.without_decay();
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& parameter = *parameters_[i];
    adam(parameter.value, parameter.gradient, part_of(m_, i), part_of(v_, i), factors,
         parameter.decays ? step : without_decay, i);
  }
}

void DenseBlock::update_all(const StepFactors& factors, const AdamStep& step) {
  if constexpr (kHasOwnKernels) {
    if (own_kernels_take(values_) && step.adam.weight_decay == 0) {
      active_.copy_(factors.active);
      if (!table_.rows.defined()) {
        std::vector<AdamTensors> tensors;
        for (size_t i = 0; i < parameters_.size(); ++i) {
          const auto flat = [&](const at::Tensor& whole) { return part_of(whole, i).view({-1}); };
          const auto place = static_cast<int64_t>(i);
          tensors.push_back({flat(values_), flat(gradient_), flat(m_), flat(v_), counts_.narrow(0, place, 1),
                             active_.narrow(0, place, 1)});
        }
        table_ = cuda_adam_table(tensors);
      }
      cuda_adam(table_, step.control, step.rate, step.adam);
      return;
    }
  }
  const StepFactors by_element{
      {}, {}, factors.active.index_select(0, owners_), factors.step_size.index_select(0, owners_)};
  adam(values_, gradient_, m_, v_, by_element, step.without_decay());
  if (step.adam.weight_decay == 0) return;
  const at::Tensor shrinks = by_element.active.logical_and(decays_);
  values_.mul_(at::where(shrinks, at::full({}, 1.0 - step.rate * step.adam.weight_decay, values_.options()), 1.0));
}

std::vector<std::pair<std::string, int64_t>> DenseBlock::update_counts() const {
  const at::Tensor on_host = counts_.cpu();
  std::vector<std::pair<std::string, int64_t>> counts;
  for (size_t i = 0; i < parameters_.size(); ++i)
    counts.emplace_back(parameters_[i]->name, on_host.const_data_ptr<int64_t>()[i]);
  return counts;
}

bool DenseBlock::set_update_count(const std::string& name, int64_t count) {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (parameters_[i]->name != name) continue;
    counts_[static_cast<int64_t>(i)].fill_(count);
    return true;
  }
  return false;
}

NamedTensors DenseBlock::state(StatePart part, comm::Communicator&) { return loadable(part); }

NamedTensors DenseBlock::loadable(StatePart part) {
  NamedTensors tensors;
  for (size_t i = 0; i < parameters_.size(); ++i)
    tensors.push_back({parameters_[i]->name, part == StatePart::kValues         ? parameters_[i]->value.detach()
                                             : part == StatePart::kFirstMoments ? part_of(m_, i)
                                                                                : part_of(v_, i)});
  return tensors;
}

}  // namespace hyperx::model

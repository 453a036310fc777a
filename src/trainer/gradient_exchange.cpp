#include "trainer/gradient_exchange.h"

#include <ATen/record_function.h>
#include <torch/torch.h>

#include "common/errors.h"

namespace hyperx::train {

GradientExchange::GradientExchange(comm::Communicator& communicator, model::Model& model, const Optimizer& optimizer,
                                   ExchangeKind kind, bool dense_update)
    : communicator_(communicator), model_(model), optimizer_(optimizer), kind_(kind), dense_update_(dense_update) {}

void GradientExchange::sum_small(std::vector<double>& losses) {
  std::vector<at::Tensor> parts;
  for (const std::string& group : model_.parameters().used_groups())
    if (group != "source") parts.push_back(model_.parameters().group_gradient(group));  // "source" follows from ds
  const at::Tensor loss_values = torch::tensor(at::ArrayRef<double>(losses), torch::kFloat64)
                                     .to(parts.front().device(), parts.front().scalar_type());
  parts.push_back(loss_values);
  at::Tensor bucket = torch::cat(parts);
  communicator_.all_reduce(bucket);
  int64_t offset = 0;
  for (at::Tensor& part : parts) {
    part.copy_(bucket.narrow(0, offset, part.numel()));
    offset += part.numel();
  }
  const at::Tensor summed = loss_values.to(torch::kCPU, torch::kFloat64);
  for (size_t i = 0; i < losses.size(); ++i) losses[i] = summed[static_cast<int64_t>(i)].item<double>();
}

void GradientExchange::gather_factors(const std::vector<int>& owners) {
  at::Tensor& gradient = model_.hyperx()->theta_gradient();
  const int64_t row = gradient.size(1) * gradient.size(2);
  const at::Tensor by_pair = gradient.view({gradient.size(0), row});
  std::vector<int64_t> counts(static_cast<size_t>(communicator_.size()), 0);
  std::vector<int64_t> order, own;  // pairs by rank
  for (int rank = 0; rank < communicator_.size(); ++rank)
    for (size_t pair = 0; pair < owners.size(); ++pair) {
      if (owners[pair] != rank) continue;
      counts[static_cast<size_t>(rank)] += row;
      order.push_back(static_cast<int64_t>(pair));
      if (rank == communicator_.rank()) own.push_back(static_cast<int64_t>(pair));
    }
  const auto index = [&](const std::vector<int64_t>& pairs) {
    return torch::tensor(at::ArrayRef<int64_t>(pairs), torch::kLong).to(gradient.device());
  };
  const at::Tensor input = by_pair.index_select(0, index(own));
  at::Tensor gathered = torch::empty_like(by_pair);
  communicator_.all_gather_v(input, gathered, counts);
  gradient.view({gradient.size(0), row}).index_copy_(0, index(order), gathered);
}

GeneratorGradient GradientExchange::exchange(std::vector<double>& losses, const std::vector<int>& owners) {
  at::NoGradGuard no_gradient;
  const bool alone = communicator_.size() == 1;
  if (!alone) {
    RECORD_USER_SCOPE("hyperx::exchange");
    sum_small(losses);
    if (model_.hyperx() != nullptr && kind_ == ExchangeKind::kFactors)
      communicator_.all_reduce(model_.hyperx()->theta_gradient());
    if (model_.hyperx() != nullptr && kind_ == ExchangeKind::kGather) gather_factors(owners);
  }
  if (kind_ == ExchangeKind::kDense && model_.hyperx() != nullptr) return exchange_dense();
  RECORD_USER_SCOPE("hyperx::generator");
  return dense_update_ ? optimizer_.dense_gradient() : optimizer_.factored_gradient();
}

GeneratorGradient GradientExchange::exchange_dense() {
  GeneratorGradient gradient;
  {
    RECORD_USER_SCOPE("hyperx::generator");
    gradient = optimizer_.dense_gradient();
  }
  if (communicator_.size() == 1) return gradient;
  RECORD_USER_SCOPE("hyperx::exchange");
  communicator_.all_reduce(gradient.source_gradient);
  for (auto& group : gradient.dense) {
    communicator_.all_reduce(group.weight);
    communicator_.all_reduce(group.bias);
  }
  return gradient;
}

}  // namespace hyperx::train

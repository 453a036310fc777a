#include "trainer/optimizer/gradient_exchange.h"

#include <ATen/record_function.h>
#include <torch/torch.h>

#include <algorithm>

#include "common/errors.h"

namespace hyperx::train {

model::GeneratorShard generator_shard(const ParallelConfig& config, comm::Communicator& communicator) {
  if (config.generator != "sharded" || communicator.size() == 1) return {};
  return {communicator.rank(), communicator.size(), [&communicator](const at::Tensor& own) {
            RECORD_USER_SCOPE("hyperx::exchange");
            at::Tensor all = torch::empty({communicator.size(), own.size(0), own.size(1)}, own.options());
            communicator.all_gather(own, all);
            return all;
          }};
}

GradientExchange::GradientExchange(comm::Communicator& communicator, model::Model& model, const Optimizer& optimizer,
                                   ExchangeKind kind, bool dense_update)
    : communicator_(communicator), model_(model), optimizer_(optimizer), kind_(kind), dense_update_(dense_update) {}

void GradientExchange::sum_small(at::Tensor& losses) {
  std::vector<at::Tensor> parts;
  for (const std::string& group : model_.parameters().used_groups())
    if (group != "source") parts.push_back(model_.parameters().group_gradient(group));  // "source" follows from ds
  parts.push_back(losses.to(parts.front().scalar_type()));
  at::Tensor bucket = torch::cat(parts);
  communicator_.all_reduce(bucket);
  int64_t offset = 0;
  for (at::Tensor& part : parts) {
    part.copy_(bucket.narrow(0, offset, part.numel()));
    offset += part.numel();
  }
  losses = parts.back().to(torch::kFloat64);
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
    return torch::tensor(at::ArrayRef<int64_t>(pairs), torch::kLong).to(gradient.device(), torch::kLong, true);
  };
  const at::Tensor input = by_pair.index_select(0, index(own));
  at::Tensor gathered = torch::empty_like(by_pair);
  communicator_.all_gather_v(input, gathered, counts);
  gradient.view({gradient.size(0), row}).index_copy_(0, index(order), gathered);
}

// Every rank's sum of g, the columns of its own rows. With whole pairs a rank (gather) the other ranks' g are zero.
at::Tensor GradientExchange::scatter_factors() {
  const model::Hypernetwork& hypernetwork = model_.hyperx()->hypernetwork();
  const at::Tensor& g = model_.hyperx()->theta_gradient();
  const int64_t share = hypernetwork.share(), rows = g.size(0) * g.size(1);
  const at::Tensor flat = g.view({rows, hypernetwork.theta_size()});
  at::Tensor message = torch::zeros({communicator_.size(), rows, share}, g.options());
  for (int64_t rank = 0; rank < communicator_.size(); ++rank) {
    const int64_t count = hypernetwork.row_count(rank);
    message[rank].narrow(1, 0, count).copy_(flat.narrow(1, hypernetwork.row_begin(rank), count));
  }
  at::Tensor own = torch::empty({g.size(0), g.size(1), share}, g.options());
  communicator_.reduce_scatter(message, own);
  return own.narrow(2, 0, hypernetwork.own_rows());
}

void GradientExchange::sum_over_rows(GeneratorGradient& gradient) {
  const at::Tensor& ds = gradient.source_gradient;
  at::Tensor message = torch::cat({ds.reshape({-1}), gradient.norm_squared.reshape({1})});
  communicator_.all_reduce(message);
  gradient.source_gradient = message.narrow(0, 0, ds.numel()).view(ds.sizes());
  gradient.norm_squared = message[ds.numel()];
}

GeneratorGradient GradientExchange::exchange(at::Tensor& losses, const std::vector<int>& owners) {
  at::NoGradGuard no_gradient;
  const bool alone = communicator_.size() == 1, generates = model_.hyperx() != nullptr;
  if (generates && kind_ == ExchangeKind::kDense) return exchange_dense(losses);
  at::Tensor factors = generates ? model_.hyperx()->theta_gradient() : at::Tensor();
  const bool sharded = generates && model_.hyperx()->hypernetwork().is_sharded();
  if (!alone) {
    RECORD_USER_SCOPE("hyperx::exchange");
    sum_small(losses);
    if (sharded) {
      factors = scatter_factors();
    } else if (generates && kind_ == ExchangeKind::kFactors) {
      communicator_.all_reduce(factors);
    } else if (generates) {
      gather_factors(owners);
    }
  }
  if (!generates) return {};
  GeneratorGradient gradient;
  {
    RECORD_USER_SCOPE("hyperx::generator");
    gradient = dense_update_ ? optimizer_.dense_gradient() : optimizer_.factored_gradient(factors);
  }
  if (!sharded) return gradient;
  RECORD_USER_SCOPE("hyperx::exchange");
  sum_over_rows(gradient);
  return gradient;
}

GeneratorGradient GradientExchange::exchange_dense(at::Tensor& losses) {
  GeneratorGradient gradient;
  {
    RECORD_USER_SCOPE("hyperx::generator");
    gradient = optimizer_.dense_gradient();
  }
  if (communicator_.size() == 1) return gradient;
  RECORD_USER_SCOPE("hyperx::exchange");
  sum_small(losses);
  communicator_.all_reduce(gradient.source_gradient);
  for (auto& group : gradient.dense) {
    communicator_.all_reduce(group.weight);
    communicator_.all_reduce(group.bias);
  }
  return gradient;
}

}  // namespace hyperx::train

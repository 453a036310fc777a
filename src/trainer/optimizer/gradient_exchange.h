#pragma once

#include <vector>

#include "common/config/config.h"
#include "data/batch/batch_maker.h"
#include "model/comm/communicator.h"
#include "model/model.h"
#include "trainer/estimate/exchange_choice.h"
#include "trainer/optimizer/optimizer.h"

namespace hyperx::train {

// This rank's share of the generators' rows by parallel.generator; theta comes together by an all-gather.
model::GeneratorShard generator_shard(const ParallelConfig& config, comm::Communicator& communicator);

// Where the generators are sharded, g travels as a reduce-scatter instead: every rank gets the columns of its own rows,
// and ds and the norm are summed over the ranks.
//
// Makes the gradients of one step complete and equal on all ranks. The small tensors go in one bucket, in which the
// losses travel too; which groups are in it follows from the step's pairs, so that all ranks send the same.
class GradientExchange {
 public:
  GradientExchange(comm::Communicator& communicator, model::Model& model, const Optimizer& optimizer, ExchangeKind kind,
                   bool dense_update);

  ExchangeKind kind() const { return kind_; }
  data::ShareMode share_mode() const {
    return kind_ == ExchangeKind::kGather ? data::ShareMode::kWhole : data::ShareMode::kSplit;
  }

  // `losses` [pairs] fp64 on the model's device, this rank's terms in, the whole step's out. `owners` [pairs]: the rank
  // that holds each pair whole (gather only). On a GPU all of it is only queued.
  GeneratorGradient exchange(at::Tensor& losses, const std::vector<int>& owners);

 private:
  void sum_small(at::Tensor& losses);
  GeneratorGradient exchange_dense(at::Tensor& losses);
  void gather_factors(const std::vector<int>& owners);
  at::Tensor scatter_factors();
  void sum_over_rows(GeneratorGradient& gradient);

  comm::Communicator& communicator_;
  model::Model& model_;
  const Optimizer& optimizer_;
  ExchangeKind kind_;
  bool dense_update_;
};

}  // namespace hyperx::train

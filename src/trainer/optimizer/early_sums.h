#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <vector>

#include "model/comm/communicator.h"
#include "model/parameters/parameters.h"

namespace hyperx::train {

// Sums of large gradients (ParameterBlock::buckets) that start while the backward pass still runs. Their order is fixed
// before the step, so all ranks send the same: a sum starts when its gradients are complete and all sums before it have
// started. If the communicator cannot sum in the background, all start in start_rest().
class EarlySums {
 public:
  // Both arguments must outlive it. `bucket_bytes`: large enough to use the network's bandwidth.
  EarlySums(comm::Communicator& communicator, model::ParameterSet& parameters, int64_t bucket_bytes);
  ~EarlySums();
  EarlySums(const EarlySums&) = delete;
  EarlySums& operator=(const EarlySums&) = delete;

  bool takes(const model::ParameterBlock& block) const { return !block.buckets(bucket_bytes_).empty(); }
  // Call it before this rank's last backward pass of the step. A rank without one need not call it.
  void watch();
  // After the backward passes: starts the remaining sums. They are done when the communicator's finish_sums() has
  // returned.
  void start_rest();

 private:
  struct Hook;
  struct Sum {
    at::Tensor gradient;
    int64_t incomplete;  // leaves whose gradients are not complete yet
  };
  void collect();
  void complete(const at::Tensor& leaf);
  void start_ready();

  comm::Communicator& communicator_;
  model::ParameterSet& parameters_;
  const int64_t bucket_bytes_;
  std::vector<Sum> sums_;  // of this step, in the order in which they start
  size_t next_ = 0;
  bool collected_ = false, watching_ = false;
  std::map<const void*, size_t> sum_of_leaf_;
  std::map<const void*, at::Tensor> hooked_;
};

}  // namespace hyperx::train

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <vector>

#include "model/comm/communicator.h"
#include "model/parameters/parameters.h"

namespace hyperx::train {

// Sums of large gradients (ParameterBlock::buckets) that start while the backward pass still runs. Their order is fixed
// before the step, so that all ranks send the same: a sum starts when its gradients are complete and all sums before it
// have started. Where the communicator cannot sum beside other work, all start in finish().
class EarlySums {
 public:
  // Both outlive it. `bucket_bytes`: large enough to use the network's bandwidth.
  EarlySums(comm::Communicator& communicator, model::ParameterSet& parameters, int64_t bucket_bytes);
  ~EarlySums();
  EarlySums(const EarlySums&) = delete;
  EarlySums& operator=(const EarlySums&) = delete;

  bool takes(const model::ParameterBlock& block) const { return !block.buckets(bucket_bytes_).empty(); }
  // The next backward pass is the step's last of this rank. A rank without one need not call it.
  void watch();
  // After the backward passes: starts the sums that have not started. They are done when the communicator's
  // finish_sums() has returned.
  void start_rest();

 private:
  struct Hook;
  struct Sum {
    at::Tensor gradient;
    int64_t incomplete;  // leaves whose gradients are still to come
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

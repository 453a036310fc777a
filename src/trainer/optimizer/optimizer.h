#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "model/parameters/parameters.h"

namespace hyperx::train {

struct UpdateReport {
  // Norm of all trained tensors' gradient before the clip; if it is not finite, nothing was changed. 0-dim fp64 on the
  // model's device: on a GPU, reading it immediately waits for the step.
  at::Tensor gradient_norm;
};

// One update of all blocks with one clip factor, min(1, clip / (norm + 1e-6)) (docs/method.md section 4).
class Optimizer {
 public:
  // `parameters` must outlive it. Allocates the moments.
  Optimizer(model::ParameterSet& parameters, const model::UpdateOptions& options);

  // Call it after the gradient exchange. On a GPU the update is only queued. `rate`: learning rate.
  UpdateReport update(double rate);

  // Update counts by name. Waits for the device.
  std::vector<std::pair<std::string, int64_t>> counts() const;
  // Sets the counts of a checkpoint, with exactly the names of counts(). UserError (65) naming `origin`: other names.
  void set_counts(const std::vector<std::pair<std::string, int64_t>>& counts, const std::string& origin);

 private:
  model::ParameterSet& parameters_;
  model::UpdateOptions options_;
};

}  // namespace hyperx::train

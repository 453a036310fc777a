#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "model/parameters/parameters.h"

namespace hyperx::train {

struct UpdateReport {
  // Of all trained tensors, before the clip; where it is not finite, nothing was changed. 0-dim fp64 on the model's
  // device: on a GPU, reading it at once means to wait for the step.
  at::Tensor gradient_norm;
};

// One update of all blocks with one clip factor, min(1, clip / (norm + 1e-6)) (SPEC.md section 4).
class Optimizer {
 public:
  // `parameters` outlive it. Makes room for the moments.
  Optimizer(model::ParameterSet& parameters, const model::UpdateOptions& options);

  // Once the gradient is exchanged. On a GPU the update is only queued.
  UpdateReport update(double rate);

  // Update counts by name. Waits for the device.
  std::vector<std::pair<std::string, int64_t>> counts() const;
  // Those of a checkpoint, exactly the names of counts(). UserError (65) naming `origin`: others.
  void set_counts(const std::vector<std::pair<std::string, int64_t>>& counts, const std::string& origin);

 private:
  model::ParameterSet& parameters_;
  model::UpdateOptions options_;
};

}  // namespace hyperx::train

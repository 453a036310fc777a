#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "data/batch/batch.h"
#include "model/model.h"

namespace hyperx::train {

// Forward and backward of a packed batch: adds its gradients to the model's, and its figures to `figures` [kFigures,
// pairs].
void add_gradients(model::Model& model, const model::PackedBatch& batch, const model::DropoutStream& dropout,
                   at::Tensor& figures);

// The same with CUDA graphs (train.cuda_graphs): forward and backward are captured once for each task, place in the
// step and capacity (data/batch/capacity.h), and replayed with the values of later batches. All graphs share one memory
// pool. A capacity is captured at its second use; the first use runs without a graph, which also warms up the
// libraries.
class StepGraphs {
 public:
  explicit StepGraphs(model::Model& model);
  ~StepGraphs();
  StepGraphs(const StepGraphs&) = delete;
  StepGraphs& operator=(const StepGraphs&) = delete;

  // Processes the piece segment by segment.
  void add_gradients(const data::Batch& piece, const model::DropoutStream& dropout, at::Tensor& figures);
  int64_t captured() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hyperx::train

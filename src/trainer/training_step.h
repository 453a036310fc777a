#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "common/config/config.h"
#include "data/batch/batch_loader.h"
#include "data/batch/mixture.h"
#include "data/corpus/corpus.h"
#include "model/model.h"
#include "trainer/optimizer/gradient_exchange.h"
#include "trainer/optimizer/optimizer.h"
#include "trainer/step_graphs.h"

namespace hyperx::train {

// What a configuration says of the parts of a step. The corpus must outlive the mixture.
data::Mixture make_mixture(const data::Corpus& corpus, const std::vector<data::Pair>& pairs, const TrainConfig& config);
model::UpdateOptions update_options(const TrainConfig& config);
data::BatchLoader::Options loader_options(const TrainConfig& config, const comm::Communicator& communicator,
                                          const GradientExchange& exchange, int64_t first_step);

// The computing of a step, from its batch to this rank's gradients (SPEC.md section 2). All it works with outlives it.
// The profile of `hyperx-bench` knows the stages by the names under which they are recorded here and in the exchange.
class TrainingStep {
 public:
  TrainingStep(const Config& config, comm::Communicator& communicator, model::Model& model);

  // The losses of this rank's share, [draws] fp64 on the model's device: summed over ranks they are the step's. The
  // batch's step is counted from 0; `pairs` are those of its draws. On a GPU all is only queued: see StepFigures.
  // Given an exchange, it may send large gradients while the last backward pass runs.
  at::Tensor forward_backward(const data::StepBatch& batch, const std::vector<data::Pair>& pairs,
                              GradientExchange* exchange = nullptr);
  // Forward and backward alone, to see whether the batch fits into memory: changes no trained value. UserError (78)
  // with figures and the keys to change where a GPU of any rank has too little; collective.
  void try_out(const data::StepBatch& batch, const std::vector<data::Pair>& pairs);

 private:
  // Does the work on every rank. UserError (78) on all where memory ran out on one; collective.
  void require_memory(const data::StepBatch& batch, const std::function<void()>& work);
  at::TensorOptions losses_options() const {
    return at::TensorOptions().dtype(at::kDouble).device(model_.options().device);
  }

  const Config& config_;
  comm::Communicator& communicator_;
  model::Model& model_;
  std::unique_ptr<StepGraphs> graphs_;  // train.cuda_graphs
};

}  // namespace hyperx::train

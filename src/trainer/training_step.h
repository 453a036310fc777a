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

// The parts of a step, set up from a configuration. The corpus must outlive the mixture.
data::Mixture make_mixture(const data::Corpus& corpus, const std::vector<data::Pair>& pairs, const TrainConfig& config);
model::UpdateOptions update_options(const TrainConfig& config);
data::BatchLoader::Options loader_options(const TrainConfig& config, const comm::Communicator& communicator,
                                          const GradientExchange& exchange, int64_t first_step);

// The computation of a step, from its batch to this rank's gradients (docs/method.md section 2). All arguments must
// outlive it. The profile of `hyperx-bench` identifies the stages by the names recorded here and in the exchange.
class TrainingStep {
 public:
  TrainingStep(const Config& config, comm::Communicator& communicator, model::Model& model);

  // The figures of this rank's share, [kFigures, draws] on the model's device; their sum over ranks is the step's. The
  // batch's step counts from 0; `pairs` are those of its draws. On a GPU everything is only queued: see StepFigures.
  // With an exchange, it may send large gradients while the last backward pass runs.
  at::Tensor forward_backward(const data::StepBatch& batch, const std::vector<data::Pair>& pairs,
                              GradientExchange* exchange = nullptr);
  // Only forward and backward, to find out whether the batch fits into memory: changes no trained value. UserError (78)
  // with sizes and the keys to change if a GPU of any rank has too little; collective.
  void try_out(const data::StepBatch& batch, const std::vector<data::Pair>& pairs);

 private:
  // Runs `work` on every rank. UserError (78) on all if one runs out of memory; collective.
  void require_memory(const data::StepBatch& batch, const std::function<void()>& work);
  at::TensorOptions figures_options() const {
    return at::TensorOptions().dtype(at::kDouble).device(model_.options().device);
  }

  const Config& config_;
  comm::Communicator& communicator_;
  model::Model& model_;
  std::unique_ptr<StepGraphs> graphs_;  // train.cuda_graphs
};

}  // namespace hyperx::train

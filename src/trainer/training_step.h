#pragma once

#include <vector>

#include "common/config.h"
#include "data/batch_loader.h"
#include "data/corpus.h"
#include "data/mixture.h"
#include "model/model.h"
#include "trainer/gradient_exchange.h"
#include "trainer/optimizer.h"

namespace hyperx::train {

// What a configuration says of the parts of a step. The corpus must outlive the mixture.
data::Mixture make_mixture(const data::Corpus& corpus, const std::vector<data::Pair>& pairs, const TrainConfig& config);
OptimizerOptions optimizer_options(const TrainConfig& config);
ExchangeKind exchange_kind(const Config& config, const model::Model& model, int ranks);
data::BatchLoader::Options loader_options(const TrainConfig& config, const comm::Communicator& communicator,
                                          const GradientExchange& exchange, int64_t first_step);

// One step from its batch to the update (SPEC.md section 2): theta, forward, backward, exchange, Adam. All it works
// with outlives it. The profile of `hyperx bench` knows the stages by the names under which they are recorded here.
class TrainingStep {
 public:
  TrainingStep(const Config& config, comm::Communicator& communicator, model::Model& model, Optimizer& optimizer,
               GradientExchange& exchange)
      : config_(config), communicator_(communicator), model_(model), optimizer_(optimizer), exchange_(exchange) {}

  struct Result {
    std::vector<double> losses;  // [draws] of the whole step, over all ranks
    UpdateReport update;
  };
  // Step `batch.step`, counted from 0; `pairs` are those of its draws.
  Result run(const data::StepBatch& batch, const std::vector<data::Pair>& pairs, double rate);

 private:
  std::vector<double> forward_backward(const data::StepBatch& batch);

  const Config& config_;
  comm::Communicator& communicator_;
  model::Model& model_;
  Optimizer& optimizer_;
  GradientExchange& exchange_;
};

}  // namespace hyperx::train

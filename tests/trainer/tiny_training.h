#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/errors.h"
#include "model/comm/thread_ranks.h"
#include "tests/data/corpus/corpus_fixture.h"
#include "tests/support/watched_communicator.h"
#include "tests/trainer/run_step.h"
#include "tests/trainer/tiny_model.h"
#include "trainer/checkpoint/model_checkpoint.h"
#include "trainer/optimizer/gradient_exchange.h"
#include "trainer/optimizer/optimizer.h"
#include "trainer/training_step.h"

// Trainings of the tiny model in milliseconds; their ranks are threads of this process.
namespace hyperx::train {

// A folder with a corpus of made-up sentences, and an encoder for it. All pairs have splits train and dev:
// pos:aa pos:bb ner:aa mlm:bb. `more`: further lines of the manifest.
struct TinyData {
  explicit TinyData(const std::vector<std::string>& more = {});
  data::test::TemporaryFolder folder;
  data::Corpus corpus;
  model::EncoderWeights encoder;
};

// Twelve steps of all pairs in fp64, without evaluations or checkpoints on the way.
Config tiny_training_config();

// What a checkpoint of such a training would say of its model.
ModelInfo tiny_info(const TinyData& data, const Config& config);
model::ModelOptions tiny_options(ModelInfo& info, comm::Communicator& ranks);

// One rank's part of a training: everything but the loop around the steps.
struct RankTraining {
  RankTraining(const TinyData& data, const Config& config, comm::Communicator& ranks);

  StepFigures::Result run(int64_t step);

  const Config config;
  comm::Communicator& ranks;
  ModelInfo info;
  model::Model model;
  data::Mixture mixture;
  data::BatchMaker maker;
  Optimizer optimizer;
  GradientExchange exchange;
  TrainingStep step;
};

// How a run is started.
struct Start {
  int ranks = 1;
  bool resume = false;
  // Before each message of each rank, and with each fresh model; on a rank that throws.
  std::function<void(int rank, const comm::SeenCall& call)> hook = [](int, const comm::SeenCall&) {};
  std::function<void(model::Model& model)> change = [](model::Model&) {};
  std::function<void()> on_failure = [] {};
};

// A whole run in a folder, by the Trainer. Expects that all ranks end with the same code.
ExitCode train_run(const TinyData& data, const Config& config, const std::string& folder, const Start& start);

using Values = std::map<std::string, at::Tensor>;

// Copies of what a checkpoint would hold, on rank 0; nothing on others. Collective.
Values copied_values(RankTraining& training);
Values copied_moments(RankTraining& training);

// A training of config.train.steps steps, seen from rank 0.
struct Trained {
  std::vector<std::vector<double>> losses;  // [steps][pairs]
  std::vector<double> norms;                // [steps]
  Values values, moments;
  std::vector<std::pair<std::string, int64_t>> counts;
  int64_t bytes_sent = 0;
};
// Also expects that the ranks end with the same bits in what each holds whole.
Trained train_on(int ranks, const TinyData& data, const Config& config);

// Largest difference of two sets of tensors, which must have the same names and shapes. NaN: a value is not a number.
struct Gap {
  double largest = 0;
  std::string where;
};
Gap gap_between(const Values& a, const Values& b);
// Largest relative difference of losses and norms.
double gap_between_figures(const Trained& a, const Trained& b);
// Three ranks train what one does, up to the order of sums.
void expect_three_ranks_train_as_one(const TinyData& data, const Config& config);

// Bytes of what the checkpoint of a run's step holds of the model and of the optimizer.
std::string content_of(const std::string& run, int64_t step);
// In runs below `folder`: a run of two ranks that ends at step 5 and continues to config.train.steps ends with the
// bytes of one that is not interrupted. The schedule is constant, as others depend on the number of steps.
void expect_resumed_run_is_the_same(const TinyData& data, const Config& config, const std::string& folder);

}  // namespace hyperx::train

#include "app/tensor/model_setup.h"
#include "bench/bench.h"
#include "common/clock.h"
#include "trainer/training_step.h"

namespace hyperx::bench {
namespace {

// Adds the time since the last stage.
class Stages {
 public:
  explicit Stages(Bench& bench) : bench_(bench), total_(bench.entered) {
    add("program, LibTorch, MPI", bench.entered, "10 ms exact");
  }
  void done(const char* stage) {
    const double seconds = seconds_since(last_);
    last_ = Clock::now();
    total_ += seconds;
    add(stage, seconds, "");
  }
  double total() const { return total_; }

 private:
  void add(const char* stage, double seconds, const char* note) {
    bench_.report.add({"start", stage, seconds, "s", {}, note});
  }
  Bench& bench_;
  double total_;
  Clock::time_point last_ = Clock::now();
};

}  // namespace

void bench_start(Bench& bench) {
  const Config& config = bench.config;
  if (!has_training_data(bench, "start")) return;
  Stages stages(bench);
  const data::Corpus corpus = open_corpus(config.data.corpus, bench.communicator);
  const auto pairs = data::select_pairs(config.train.pairs, corpus.pairs_with("train"), "train.pairs");
  stages.done("corpus");
  const model::EncoderWeights encoder = load_encoder_on_node(config, bench.session);
  stages.done("encoder's weights");
  check_tokenizer(corpus, config, encoder.spec);
  stages.done("vocabulary");
  train::ModelInfo info = describe_model(config, corpus, pairs, encoder);
  model::Model model(encoder, model_options(info, bench.device, bench.communicator));
  stages.done("model");
  train::Optimizer optimizer(model.parameters(), train::update_options(config.train));
  train::GradientExchange exchange(bench.communicator, model.parameters());
  train::TrainingStep step(config, bench.communicator, model);
  stages.done("optimizer");
  data::Mixture mixture = train::make_mixture(corpus, pairs, config.train);
  const data::BatchMaker maker(corpus, pairs, "train", config.data.max_subwords, config.train.seed);
  data::BatchLoader loader(maker, mixture, train::loader_options(config.train, bench.communicator, exchange, 0));
  const data::StepBatch batch = loader.next(0);
  stages.done("first batch");
  bench.report.add({"start", "to the first step", stages.total(), "s", {}, "the stages above"});
  std::vector<data::Pair> step_pairs;
  for (const data::DrawSummary& draw : batch.draws) step_pairs.push_back(pairs[static_cast<size_t>(draw.pair)]);
  at::Tensor figures = step.forward_backward(batch, step_pairs);
  exchange.exchange(figures, batch.owners);
  optimizer.update(1e-4);
  bench.synchronize();
  stages.done("first step");
  encoder.digest.wait();
  stages.done("encoder's digest, after the step");
}

}  // namespace hyperx::bench

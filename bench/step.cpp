#include <spdlog/fmt/fmt.h>

#include "app/tensor/model_setup.h"
#include "bench/bench.h"
#include "bench/gpu_clock.h"
#include "common/clock.h"
#include "trainer/estimate/devices.h"
#include "trainer/estimate/step_work.h"
#include "trainer/schedule.h"
#include "trainer/training_step.h"

namespace hyperx::bench {
namespace {

struct Totals {
  double steps = 0, tokens = 0, operations = 0, data_seconds = 0, seconds = 0, sent = 0;
  double best_rate = 0;     // tokens/s of the fastest step
  estimate::StepWork work;  // of the last step, as `hyperx estimate` computes it
  double operations_a_step() const { return operations / steps; }
};

// Replaces train.steps and train.epochs by the number of steps taken plus one: at a mixture's last step the loader
// waits for the digests of the pairs' arrays.
TrainConfig long_enough(TrainConfig config, int64_t steps) {
  config.epochs = 0;
  config.steps = steps + 1;
  return config;
}

model::EncoderWeights fitting_encoder(const Config& config, const data::Corpus& corpus) {
  model::EncoderWeights encoder =
      model::load_encoder(config.model.encoder, config.train.seed, config.model.encoder_layers);
  check_tokenizer(corpus, config, encoder.spec);
  return encoder;
}

// A training run set up as in `train`, without a run folder.
class Training {
 public:
  Training(Bench& bench, int64_t most_steps)
      : bench_(bench),
        config_(bench.config),
        corpus_(open_corpus(config_.data.corpus, bench.communicator)),
        pairs_(data::select_pairs(config_.train.pairs, corpus_.pairs_with("train"), "train.pairs")),
        encoder_(fitting_encoder(config_, corpus_)),
        info_(describe_model(config_, corpus_, pairs_, encoder_)),
        model_(encoder_, model_options(info_, bench.device, bench.communicator)),
        optimizer_(model_.parameters(), train::update_options(config_.train)),
        exchange_(bench.communicator, model_.parameters()),
        step_(config_, bench.communicator, model_),
        maker_(corpus_, pairs_, "train", config_.data.max_subwords, config_.train.seed),
        loader_(maker_, train::make_mixture(corpus_, pairs_, long_enough(config_.train, most_steps)),
                train::loader_options(config_.train, bench.communicator, exchange_, 0)),
        sizes_{encoder_.spec, info_.tasks, static_cast<int64_t>(info_.languages.size()), config_} {}

  Totals run(int64_t count) {
    Totals totals;
    totals.steps = static_cast<double>(count);
    const int64_t sent_before = bench_.communicator.bytes_sent();
    for (int64_t i = 0; i < count; ++i) take_step(totals);
    totals.sent = static_cast<double>(bench_.communicator.bytes_sent() - sent_before) / totals.steps;
    return totals;
  }

  const char* precision() const { return model_.options().compute == at::kBFloat16 ? "bf16" : "fp32"; }

 private:
  void take_step(Totals& totals) {
    const auto begin = Clock::now();
    const data::StepBatch batch = loader_.next(number_++);
    totals.data_seconds += seconds_since(begin);
    std::vector<data::Pair> step_pairs;
    double tokens = 0;
    for (const data::DrawSummary& draw : batch.draws) {
      step_pairs.push_back(pairs_[static_cast<size_t>(draw.pair)]);
      tokens += static_cast<double>(draw.tokens);
    }
    at::Tensor figures = step_.forward_backward(batch, step_pairs, &exchange_);
    exchange_.exchange(figures, batch.owners);
    optimizer_.update(1e-4);
    bench_.synchronize();
    const double took = seconds_since(begin);
    totals.seconds += took;
    totals.tokens += tokens;
    totals.best_rate = std::max(totals.best_rate, tokens / took);
    totals.work = work_of(batch);
    totals.operations += totals.work.product_operations + totals.work.attention_operations;
  }

  estimate::StepWork work_of(const data::StepBatch& batch) const {
    estimate::StepSizes step;
    step.pairs = static_cast<double>(batch.draws.size());
    for (const data::Batch& piece : batch.pieces) {
      step.tokens += static_cast<double>(piece.input_ids.size());
      for (const data::Segment& segment : piece.segments) {
        const bool masked = maker_.masked(segment.pair);
        (masked ? step.masked : step.labelled) += static_cast<double>(segment.label_end - segment.label_begin);
      }
      for (size_t s = 0; s + 1 < piece.sentence_starts.size(); ++s) {
        const double length = piece.sentence_starts[s + 1] - piece.sentence_starts[s];
        step.squares += length * length;
      }
    }
    const double value_bytes = model_.options().compute == at::kBFloat16 ? 2 : 4;
    return estimate::work_of(step, sizes_, sizes_.method_costs(bench_.communicator.size(), step.pairs), value_bytes);
  }

  Bench& bench_;
  const Config& config_;
  data::Corpus corpus_;
  std::vector<data::Pair> pairs_;
  model::EncoderWeights encoder_;
  train::ModelInfo info_;
  model::Model model_;
  train::Optimizer optimizer_;
  train::GradientExchange exchange_;
  train::TrainingStep step_;
  data::BatchMaker maker_;
  data::BatchLoader loader_;
  estimate::ModelSizes sizes_;
  int64_t number_ = 0;  // number of the next step
};

void report_speed(Bench& bench, const Training& training, const Totals& totals) {
  const std::string precision = training.precision();
  const double update_bytes = totals.work.generator_bytes;
  const double limit =
      totals.operations_a_step() / bench.rates().product(precision) + update_bytes / bench.rates().triad;
  bench.report.add({"step", "seconds a step, " + precision, totals.seconds / totals.steps, "s", limit,
                    fmt::format("{:.0f} tokens a step; limit: {:.0f} GFLOP of products and {:.2f} GB",
                                totals.tokens / totals.steps, totals.operations_a_step() / 1e9, update_bytes / 1e9)});
  bench.report.add({"step", "tokens/s, mean", totals.tokens / totals.seconds, "tokens/s", {}, ""});
  bench.report.add({"step", "tokens/s, best step", totals.best_rate, "tokens/s", {}, ""});
  bench.report.add({"step", "bytes sent", totals.sent, "bytes", {}, ""});
}

using Rates = std::map<std::string, double>;  // by kind of work

// Profiles one step and raises the rates that it exceeded.
void measure_rates(Training& training, Rates& best) {
  const OpProfile profile(thread_seconds);
  const double begin = thread_seconds();
  const estimate::StepWork work = training.run(1).work;
  double rest = thread_seconds() - begin;
  const std::map<std::string, double> spent = profile.seconds();
  const auto measure = [&](const std::string& kind, double amount) {
    const auto found = spent.find(kind);
    if (found == spent.end() || found->second <= 0 || amount <= 0) return;
    rest -= found->second;
    best[kind] = std::max(best[kind], amount / found->second);
  };
  measure("products", work.product_operations);
  measure("attention", work.attention_operations);
  measure("elementwise", work.element_bytes);
  // `estimate` counts the generators' products at the encoder's rate: the rest of the time is memory traffic.
  const double products = work.generator_operations / best["products"];
  const double generator = spent.contains("generator") ? spent.at("generator") : 0, passes = generator - products;
  rest -= generator;
  if (passes > 0) best["generator"] = std::max(best["generator"], work.generator_bytes / passes);
  const double layer = std::max(rest, 1e-9) / work.layer_passes;
  best["rest"] = best.count("rest") == 0 ? layer : std::min(best["rest"], layer);
}

void report_rates(Bench& bench, const std::string& precision, const Rates& best) {
  for (const auto& [kind, rate] : best) {
    const bool bytes = kind == "elementwise" || kind == "generator", rest = kind == "rest";
    const char* const unit = rest ? "ms a layer" : bytes ? "GB/s" : "GFLOP/s";
    bench.report.add(
        {"rates", kind + ", " + precision, rest ? 1e3 * rate : 1e-9 * rate, unit, {}, "what `hyperx estimate` counts"});
  }
}

void report_parts(Bench& bench, Training& training, int64_t count) {
  const OpProfile profile;
  const Totals totals = training.run(count);
  const double product_limit = totals.operations_a_step() / bench.rates().product(training.precision());
  report_profile(bench, "step", profile, {totals.seconds, totals.data_seconds, totals.steps, product_limit});
  const double megabytes = static_cast<double>(profile.allocated_bytes()) / totals.steps / 1e6;
  bench.report.add({"step",
                    "allocations",
                    static_cast<double>(profile.allocations()) / totals.steps,
                    "a step",
                    {},
                    fmt::format("{:.0f} MB", megabytes)});
  bench.report.add({"step", "activations at the peak", static_cast<double>(profile.peak_bytes()) / 1e6, "MB", {}, ""});
}

// By the GPU's clock, in `repeats` steps; before them, what the counted steps took of the GPU's memory.
void report_parts_on_gpu(Bench& bench, Training& training) {
  const GpuMemory memory = gpu_peak_memory(bench.device);
  const auto megabytes = [](int64_t bytes) { return static_cast<double>(bytes) / 1e6; };
  bench.report.add({"step", "GPU memory of tensors at the peak", megabytes(memory.tensors), "MB", {}, ""});
  bench.report.add({"step", "GPU memory at the peak", megabytes(memory.reserved), "MB", {}, "taken from the driver"});
  if (bench.config.train.cuda_graphs) {
    bench.report.skip("step by part", "the operations of a graph are not timed one by one");
    return;
  }
  const OpProfile profile(bench.device);
  const Totals totals = training.run(bench.repeats);
  const double product_limit = totals.operations_a_step() / bench.rates().product(training.precision());
  report_profile(bench, "step", profile, {totals.seconds, totals.data_seconds, totals.steps, product_limit});
}

}  // namespace

void bench_step(Bench& bench) {
  if (!has_training_data(bench, "step")) return;
  const int64_t counted = 2 * bench.repeats;
  Training training(bench, bench.warmup + counted + bench.repeats + counted);
  training.run(bench.warmup);
  report_speed(bench, training, training.run(counted));
  if (!bench.device.is_cpu()) {
    report_parts_on_gpu(bench, training);
    return;
  }
  Rates best;
  for (int64_t i = 0; i < bench.repeats; ++i) measure_rates(training, best);
  report_rates(bench, training.precision(), best);
  report_parts(bench, training, counted);
}

}  // namespace hyperx::bench

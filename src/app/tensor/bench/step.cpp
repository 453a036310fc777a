#include <spdlog/fmt/fmt.h>

#include "app/tensor/bench/bench.h"
#include "app/tensor/model_setup.h"
#include "common/clock.h"
#include "trainer/estimate/devices.h"
#include "trainer/estimate/step_work.h"
#include "trainer/schedule.h"
#include "trainer/training_step.h"

namespace hyperx::bench {
namespace {

constexpr int64_t kUncounted = 2;

// What one step computes, as `hyperx estimate` counts it.
estimate::StepWork work_of(const data::StepBatch& batch, const std::vector<data::Pair>& pairs,
                           const estimate::ModelSizes& sizes, at::ScalarType type) {
  estimate::StepSizes step;
  step.pairs = static_cast<double>(batch.draws.size());
  for (const data::Batch& piece : batch.pieces) {
    step.tokens += static_cast<double>(piece.input_ids.size());
    for (const data::Segment& segment : piece.segments) {
      const bool masked = data::task_info(pairs.at(static_cast<size_t>(segment.pair)).task).masked;
      (masked ? step.masked : step.labelled) += static_cast<double>(segment.label_end - segment.label_begin);
    }
    for (size_t s = 0; s + 1 < piece.sentence_starts.size(); ++s) {
      const double length = piece.sentence_starts[s + 1] - piece.sentence_starts[s];
      step.squares += length * length;
    }
  }
  estimate::WorkOptions options;
  options.value_bytes = type == at::kBFloat16 ? 2 : 4;
  return estimate::work_of(step, sizes, options);
}

}  // namespace

void bench_step(Bench& bench) {
  const Config& config = bench.config;
  if (!has_training_data(bench, "step")) return;
  const data::Corpus corpus = open_corpus(config.data.corpus, bench.communicator);
  const auto pairs = data::select_pairs(config.train.pairs, corpus.pairs_with("train"), "train.pairs");
  const model::EncoderWeights encoder = model::load_encoder(config.model.encoder, config.train.seed);
  check_tokenizer(corpus, config, encoder.spec);
  const train::ModelInfo info = describe_model(config, corpus, pairs, encoder);
  model::Model model(encoder, model_options(info, bench.device, bench.communicator));
  const at::ScalarType type = model.options().compute;
  train::Optimizer optimizer(model, train::optimizer_options(config.train));
  train::GradientExchange exchange(bench.communicator, model, optimizer,
                                   train::exchange_kind(config, model, bench.communicator.size()), false);
  train::TrainingStep step(config, bench.communicator, model, optimizer, exchange);
  data::Mixture mixture = train::make_mixture(corpus, pairs, config.train);
  const data::BatchMaker maker(corpus, pairs, "train", config.data.max_subwords, config.train.seed);
  data::BatchLoader loader(maker, mixture, train::loader_options(config.train, bench.communicator, exchange, 0));

  const estimate::ModelSizes sizes{encoder.spec, config.model, info.tasks, static_cast<int64_t>(info.languages.size())};
  const int64_t counted = 2 * bench.repeats;
  estimate::StepWork work;  // of the last step
  int64_t number = 0;
  double tokens = 0, operations = 0, data_seconds = 0, seconds = 0, best_rate = 0, sent = 0;
  const auto run = [&](int64_t count) {
    tokens = operations = data_seconds = seconds = best_rate = 0;
    const int64_t sent_before = bench.communicator.bytes_sent();
    for (int64_t i = 0; i < count; ++i, ++number) {
      const auto begin = Clock::now();
      const data::StepBatch batch = loader.next(number);
      data_seconds += seconds_since(begin);
      std::vector<data::Pair> step_pairs;
      double step_tokens = 0;
      for (const data::DrawSummary& draw : batch.draws) {
        step_pairs.push_back(pairs[static_cast<size_t>(draw.pair)]);
        step_tokens += static_cast<double>(draw.tokens);
      }
      step.run(batch, step_pairs, 1e-4);
      bench.synchronize();
      const double took = seconds_since(begin);
      seconds += took;
      tokens += step_tokens;
      work = work_of(batch, pairs, sizes, type);
      operations += work.product_operations + work.attention_operations;
      best_rate = std::max(best_rate, step_tokens / took);
    }
    sent = static_cast<double>(bench.communicator.bytes_sent() - sent_before) / static_cast<double>(count);
  };
  run(kUncounted);
  run(counted);
  const std::string precision = type == at::kBFloat16 ? "bf16" : "fp32";
  const double count = static_cast<double>(counted);
  const double generator_values =
      model.hyperx() == nullptr ? 0 : static_cast<double>(model.hyperx()->hypernetwork().element_count());
  const double limit =
      operations / count / bench.rates().product(precision) + 8 * 4 * generator_values / bench.rates().triad;
  bench.report.add({"step", "seconds a step, " + precision, seconds / count, "s", limit,
                    fmt::format("{:.0f} tokens a step; limit: {:.0f} GFLOP of products and {:.2f} GB", tokens / count,
                                operations / count / 1e9, 32 * generator_values / 1e9)});
  bench.report.add({"step", "tokens/s, mean", tokens / seconds, "tokens/s", {}, ""});
  bench.report.add({"step", "tokens/s, best step", best_rate, "tokens/s", {}, ""});
  bench.report.add({"step", "bytes sent", sent, "bytes", {}, ""});

  if (!bench.device.is_cpu()) {
    bench.report.skip("step by part", "on a GPU a step is only queued: its parts are not timed");
    return;
  }
  std::map<std::string, double> best;  // rates, a kind of work each
  for (int64_t i = 0; i < bench.repeats && model.hyperx() != nullptr; ++i) {
    const train::OpProfile one(train::thread_seconds);
    const double begin = train::thread_seconds();
    run(1);
    double rest = train::thread_seconds() - begin;
    const std::map<std::string, double> spent = one.seconds();
    const auto measure = [&](const std::string& kind, double amount) {
      const auto found = spent.find(kind);
      if (found == spent.end() || found->second <= 0 || amount <= 0) return;
      rest -= found->second;
      best[kind] = std::max(best[kind], amount / found->second);
    };
    measure("products", work.product_operations);
    measure("attention", work.attention_operations);
    measure("elementwise", work.element_bytes);
    // What its products take at the rate that `estimate` assumes for them is not the memory's.
    const double products = work.generator_operations / (estimate::kGeneratorProductShare * best["products"]);
    const double passes = spent.at("generator") - products;
    rest -= spent.at("generator");
    if (passes > 0) best["generator"] = std::max(best["generator"], work.generator_bytes / passes);
    const double layer = std::max(rest, 1e-9) / work.layer_passes;
    best["rest"] = best.count("rest") == 0 ? layer : std::min(best["rest"], layer);
  }
  for (const auto& [kind, rate] : best) {
    const bool bytes = kind == "elementwise" || kind == "generator";
    bench.report.add({"rates",
                      kind + ", " + precision,
                      kind == "rest" ? 1e3 * rate : 1e-9 * rate,
                      kind == "rest" ? "ms a layer"
                      : bytes        ? "GB/s"
                                     : "GFLOP/s",
                      {},
                      "what `hyperx estimate` counts"});
  }

  const train::OpProfile profile;
  run(counted);
  report_profile(bench, "step", profile,
                 {seconds, data_seconds, count, operations / count / bench.rates().product(precision)});
  bench.report.add({"step",
                    "allocations",
                    static_cast<double>(profile.allocations()) / count,
                    "a step",
                    {},
                    fmt::format("{:.0f} MB", static_cast<double>(profile.allocated_bytes()) / count / 1e6)});
  bench.report.add({"step", "activations at the peak", static_cast<double>(profile.peak_bytes()) / 1e6, "MB", {}, ""});
}

}  // namespace hyperx::bench

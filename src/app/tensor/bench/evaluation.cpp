#include "trainer/evaluation.h"

#include <ATen/core/grad_mode.h>
#include <spdlog/fmt/fmt.h>

#include <chrono>

#include "app/tensor/bench/bench.h"
#include "app/tensor/bench/op_profile.h"
#include "app/tensor/model_setup.h"
#include "trainer/training_step.h"

namespace hyperx::bench {
namespace {

struct Work {
  double sentences = 0, tokens = 0, operations = 0;  // operations of the products of one pass
};

Work work_of(const data::Corpus& corpus, const std::vector<data::Pair>& pairs, const model::EncoderSpec& spec,
             const Config& config) {
  const data::BatchMaker maker(corpus, pairs, config.eval.split, config.data.max_subwords, config.train.seed);
  const double h = static_cast<double>(spec.hidden), layers = static_cast<double>(spec.layers);
  const double layer = 4 * h * h + 2 * h * static_cast<double>(spec.intermediate) + 2 * h * config.model.adapter_dim;
  Work work;
  for (int pair = 0; pair < static_cast<int>(pairs.size()); ++pair)
    for (const auto& stretch : maker.evaluation_stretches(pair, config.eval.limit, config.eval.batch_tokens))
      for (const int64_t sentence : stretch) {
        const double length = static_cast<double>(maker.token_count(pair, sentence));
        ++work.sentences;
        work.tokens += length;
        work.operations += layers * (2 * length * layer + 4 * length * length * h);
      }
  return work;
}

}  // namespace

void bench_evaluation(Bench& bench) {
  const Config& config = bench.config;
  if (config.data.corpus.empty() || config.model.encoder.empty() || config.train.pairs.empty()) {
    bench.report.skip("evaluation", "it needs --data.corpus, --model.encoder and --train.pairs");
    return;
  }
  const at::NoGradGuard no_gradient;
  const data::Corpus corpus = open_corpus(config.data.corpus, bench.communicator);
  const auto trained = data::select_pairs(config.train.pairs, corpus.pairs_with("train"), "train.pairs");
  const model::EncoderWeights encoder = model::load_encoder(config.model.encoder, config.train.seed);
  check_tokenizer(corpus, config, encoder.spec);
  const train::ModelInfo info = describe_model(config, corpus, trained, encoder);
  const at::ScalarType type = train::compute_type(config.train, at::kCPU);
  model::Model model(encoder, {config.model, info.tasks, info.languages, config.train.seed, type, at::kCPU});
  const auto pairs = train::scorable_pairs(corpus, config.eval.pairs, config.eval.split, model.options(), "eval.pairs");
  if (pairs.empty()) {
    bench.report.skip("evaluation", config.data.corpus + " has no pair of the model with a " + config.eval.split +
                                        " split: name another with --eval.split");
    return;
  }
  const Work work = work_of(corpus, pairs, encoder.spec, config);
  train::Evaluator evaluator(model, corpus, bench.communicator, config, [] {});
  const auto evaluate = [&] { evaluator.evaluate(pairs, config.eval.split); };

  const double seconds = best_seconds(bench.repeats, evaluate);
  const double rate = bench.rates().product(type == at::kBFloat16 ? "bf16" : "fp32");
  const double ranks = bench.communicator.size();
  bench.report.add({"evaluation", std::string("seconds of all pairs, ") + (type == at::kBFloat16 ? "bf16" : "fp32"),
                    seconds, "s", work.operations / rate / ranks,
                    fmt::format("{} pairs, {:.0f} sentences; limit: {:.0f} GFLOP of products", pairs.size(),
                                work.sentences, work.operations / 1e9)});
  bench.report.add({"evaluation", "tokens/s", work.tokens / seconds, "tokens/s", {}, ""});
  bench.report.add({"evaluation", "sentences/s", work.sentences / seconds, "sentences/s", {}, ""});

  const OpProfile profile;
  const auto begin = std::chrono::steady_clock::now();
  evaluate();
  const double whole = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  double known = 0;
  for (const auto& [category, spent] : profile.seconds()) {
    known += spent;
    std::optional<double> limit;
    if (category == "products") limit = 1e3 * work.operations / rate / ranks;
    bench.report.add(
        {"evaluation by part", category, 1e3 * spent, "ms", limit, fmt::format("{:.1f} %", 100 * spent / whole)});
  }
  bench.report.add({"evaluation by part", "between operations", 1e3 * (whole - known), "ms", {}, ""});
  if (!bench.line.has_flag("operations")) return;
  for (const auto& [name, spent] : profile.operations())
    if (spent > 0.002 * whole) bench.report.add({"operation", name, 1e3 * spent, "ms", {}, ""});
}

}  // namespace hyperx::bench

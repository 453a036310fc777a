#include "trainer/evaluation/evaluation.h"

#include <ATen/core/grad_mode.h>
#include <spdlog/fmt/fmt.h>

#include "app/tensor/model_setup.h"
#include "bench/bench.h"
#include "common/clock.h"
#include "model/methods/method_spec.h"
#include "trainer/training_step.h"

namespace hyperx::bench {
namespace {

struct Work {
  double sentences = 0, tokens = 0, operations = 0;  // operations of one pass's products
};

Work work_of(const data::Corpus& corpus, const std::vector<data::Pair>& pairs, const model::EncoderSpec& spec,
             const Config& config) {
  const data::BatchMaker maker(corpus, pairs, config.eval.split, config.data.max_subwords, config.train.seed);
  const double h = static_cast<double>(spec.hidden), layers = static_cast<double>(spec.layers);
  const model::MethodCosts costs = model::find_method_spec(config.model.method).costs({config, spec});
  const double beyond_attention = h * h + 2 * h * static_cast<double>(spec.intermediate) + costs.product_values;
  Work work;
  for (int pair = 0; pair < static_cast<int>(pairs.size()); ++pair)
    for (const auto& stretch : maker.evaluation_stretches(pair, config.eval.limit, config.eval.batch_tokens)) {
      const data::Batch batch = maker.make_evaluation(pair, stretch);
      const double tokens = static_cast<double>(batch.tokens()), labels = static_cast<double>(batch.labels.size());
      work.sentences += static_cast<double>(batch.sentences());
      work.tokens += tokens;
      work.operations += 2 * (layers * tokens * 3 * h * h + ((layers - 1) * tokens + labels) * beyond_attention);
      for (size_t s = 0; s + 1 < batch.sentence_starts.size(); ++s) {
        const double length = batch.sentence_starts[s + 1] - batch.sentence_starts[s];
        work.operations += layers * 4 * length * length * h;
      }
    }
  return work;
}

}  // namespace

void bench_evaluation(Bench& bench) {
  const Config& config = bench.config;
  if (!has_training_data(bench, "evaluation")) return;
  const at::NoGradGuard no_gradient;
  const data::Corpus corpus = open_corpus(config.data.corpus, bench.communicator);
  const auto trained = data::select_pairs(config.train.pairs, corpus.pairs_with("train"), "train.pairs");
  const model::EncoderWeights encoder =
      model::load_encoder(config.model.encoder, config.train.seed, config.model.encoder_layers);
  check_tokenizer(corpus, config, encoder.spec);
  train::ModelInfo info = describe_model(config, corpus, trained, encoder);
  model::Model model(encoder, model_options(info, bench.device, bench.communicator));
  const at::ScalarType type = model.options().compute;
  const auto pairs = train::scorable_pairs(corpus, config.eval.pairs, config.eval.split, model.options(), "eval.pairs");
  if (pairs.empty()) {
    bench.report.skip("evaluation", config.data.corpus + " has no pair of the model with a " + config.eval.split +
                                        " split: name another with --eval.split");
    return;
  }
  const Work work = work_of(corpus, pairs, encoder.spec, config);
  train::Evaluator evaluator(model, corpus, bench.communicator, config, [] {});
  const auto evaluate = [&] { evaluator.evaluate(pairs, config.eval.split); };

  const double seconds = bench.best_seconds(evaluate);
  const double rate = bench.rates().product(type == at::kBFloat16 ? "bf16" : "fp32");
  const double ranks = bench.communicator.size();
  bench.report.add({"evaluation", std::string("seconds of all pairs, ") + (type == at::kBFloat16 ? "bf16" : "fp32"),
                    seconds, "s", work.operations / rate / ranks,
                    fmt::format("{} pairs, {:.0f} sentences; limit: {:.0f} GFLOP of products", pairs.size(),
                                work.sentences, work.operations / 1e9)});
  bench.report.add({"evaluation", "tokens/s", work.tokens / seconds, "tokens/s", {}, ""});
  bench.report.add({"evaluation", "sentences/s", work.sentences / seconds, "sentences/s", {}, ""});

  if (!bench.device.is_cpu()) {
    bench.report.skip("evaluation by part", "on a GPU its parts are not timed");
    return;
  }
  const OpProfile profile;
  const Clock::time_point begin = Clock::now();
  evaluate();
  report_profile(bench, "evaluation", profile, {seconds_since(begin), 0, 1, work.operations / rate / ranks});
}

}  // namespace hyperx::bench

#include <malloc.h>
#include <spdlog/fmt/fmt.h>

#include <fstream>

#include "bench/bench.h"
#include "common/clock.h"
#include "common/errors.h"
#include "data/batch/batch_loader.h"
#include "trainer/training_step.h"

namespace hyperx::bench {
namespace {

constexpr int kLanguages = 7000;  // each with every task: a mixture of the required size
constexpr int64_t kDraws = 100'000;
constexpr int64_t kBatches = 2000;
// The targets of docs/benchmarks.md.
constexpr double kDrawMicroseconds = 10, kOpenMilliseconds = 100, kOpenMegabytes = 50;

// Private memory of this process in MB, without the pages of mapped files, which the ranks of a node share.
double private_megabytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    double kilobytes = 0;
    if (word == "RssAnon:" && status >> kilobytes) return kilobytes * 1024 / 1e6;
  }
  throw SystemError("/proc/self/status has no RssAnon");
}

void bench_mixture(Bench& bench) {
  const double before = private_megabytes();
  const std::vector<std::string> tasks = data::TaskSet::all().names();
  std::vector<data::MixturePair> pairs;
  for (int language = 0; language < kLanguages; ++language)
    for (const std::string& task : tasks)
      pairs.push_back({{task, fmt::format("l{:04}", language)}, 32 + language % 10 * 1000});
  Config config = bench.config;
  config.train.pairs_per_step = 1;
  data::Mixture mixture(std::move(pairs), config.train);
  int64_t step = 0;
  const double plan = bench.best_seconds([&] {
    for (int64_t i = 0; i < kDraws; ++i) mixture.plan(step++);
  });
  bench.report.add({"data", fmt::format("a draw from {} x {} pairs", kLanguages, tasks.size()), plan / kDraws * 1e6,
                    "us", kDrawMicroseconds,
                    fmt::format("pair and {} sentences; limit: what is asked for", config.train.batch_sentences)});
  const double replay = bench.best_seconds([&] {
    mixture.seek(0);
    mixture.seek(10 * kDraws);
  });
  bench.report.add({"data", "replay of a million draws", replay * 1e3, "ms", {}, "on resume"});
  bench.report.add({"data", "private memory of this mixture", private_megabytes() - before, "MB", {}, ""});
}

void bench_batches(Bench& bench, const data::BatchMaker& maker, data::Mixture& mixture) {
  int64_t step = 0, tokens = 0;
  const auto make = [&] {
    const data::StepPlan plan = mixture.plan(step++);
    const auto draws = maker.summarize(plan);
    for (const data::DrawSummary& draw : draws) tokens += draw.tokens;
    for (const auto& piece : maker.pieces(plan, maker.share(plan, 1, data::ShareMode::kSplit)[0], 0))
      maker.make(plan, piece, draws);
  };
  for (int64_t i = 0; i < kBatches; ++i) make();  // the pages of the map are loaded now
  step = tokens = 0;
  const double seconds = bench.best_seconds([&] {
    for (int64_t i = 0; i < kBatches; ++i) make();
  });
  const double made = static_cast<double>(kBatches * (bench.repeats + 1));
  bench.report.add({"data",
                    "making a step's batch",
                    seconds / kBatches * 1e6,
                    "us",
                    {},
                    fmt::format("{} sentences, {:.0f} tokens; in a thread beside the step",
                                bench.config.train.batch_sentences * bench.config.train.pairs_per_step,
                                static_cast<double>(tokens) / made)});
  bench.report.add(
      {"data", "the same as a rate", static_cast<double>(tokens) / made * kBatches / seconds, "tokens/s", {}, ""});
}

void bench_corpus(Bench& bench) {
  const Config& config = bench.config;
  if (config.data.corpus.empty()) {
    bench.report.skip("data of a corpus", "it needs --data.corpus");
    return;
  }
  malloc_trim(0);
  const double before = private_megabytes();
  auto begin = Clock::now();
  const data::Corpus corpus = data::Corpus::open(config.data.corpus);
  bench.report.add({"data", "opening the index", seconds_since(begin) * 1e3, "ms", kOpenMilliseconds,
                    fmt::format("{} pairs, {:.1f} MB; limit: what is asked for", corpus.index().pairs.size(),
                                static_cast<double>(corpus.index_text().size()) / 1e6)});

  begin = Clock::now();
  const std::string set = config.train.pairs.empty() ? "*:*" : config.train.pairs;
  const auto pairs = data::select_pairs(set, corpus.pairs_with("train"), "train.pairs");
  data::Mixture mixture = train::make_mixture(corpus, pairs, config.train);
  const data::BatchMaker maker(corpus, pairs, "train", config.data.max_subwords, config.train.seed);
  bench.report.add({"data", "choosing the pairs", seconds_since(begin) * 1e3, "ms", {}, ""});

  begin = Clock::now();
  int largest = 0;
  for (int pair = 0; pair < static_cast<int>(pairs.size()); ++pair)
    if (mixture.pairs()[static_cast<size_t>(pair)].sentences > mixture.pairs()[static_cast<size_t>(largest)].sentences)
      largest = pair;
  maker.split(largest);
  bench.report.add({"data", "mapping the largest pair", seconds_since(begin) * 1e3, "ms", kOpenMilliseconds,
                    fmt::format("{}, {} sentences", pairs[static_cast<size_t>(largest)].name(),
                                mixture.pairs()[static_cast<size_t>(largest)].sentences)});
  bench.report.add({"data", "private memory of all that", private_megabytes() - before, "MB", kOpenMegabytes, ""});

  begin = Clock::now();
  {
    data::BatchLoader loader(maker, mixture, {});
    loader.next(0);
    bench.report.add({"data", "first batch", seconds_since(begin) * 1e3, "ms", {}, ""});
  }
  begin = Clock::now();
  corpus.verify_once(pairs[static_cast<size_t>(largest)], "train");
  bench.report.add(
      {"data", "comparing its digests", seconds_since(begin) * 1e3, "ms", {}, "in a thread beside the steps"});
  bench_batches(bench, maker, mixture);
}

}  // namespace

void bench_data(Bench& bench) {
  bench_mixture(bench);
  bench_corpus(bench);
}

}  // namespace hyperx::bench

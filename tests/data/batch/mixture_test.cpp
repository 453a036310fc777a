#include "data/batch/mixture.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "common/errors.h"
#include "common/files.h"
#include "tests/data/test_data.h"
#include "tests/support/errors.h"

namespace hyperx::data {
namespace {

std::vector<MixturePair> pairs_of(const std::vector<int64_t>& sentences) {
  std::vector<MixturePair> pairs;
  for (size_t i = 0; i < sentences.size(); ++i) {
    pairs.push_back({{i % 2 == 0 ? "pos" : "ner", "l" + std::to_string(i)}, sentences[i]});
  }
  return pairs;
}

TrainConfig config_of(int batch_sentences, int pairs_per_step, double temperature = 5,
                      const std::string& sampling = "draw") {
  TrainConfig config;
  config.batch_sentences = batch_sentences;
  config.pairs_per_step = pairs_per_step;
  config.temperature = temperature;
  config.sampling = sampling;
  config.seed = 7;
  return config;
}

bool equal(const StepPlan& a, const StepPlan& b) {
  if (a.step != b.step || a.draws.size() != b.draws.size()) return false;
  for (size_t d = 0; d < a.draws.size(); ++d) {
    const Draw &x = a.draws[d], &y = b.draws[d];
    if (x.pair != y.pair || x.pass != y.pass || x.batch != y.batch || x.mask_key != y.mask_key) return false;
    if (x.sentences != y.sentences) return false;
  }
  return true;
}

class EachSampling : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Mixture, EachSampling, testing::Values("draw", "epoch"));

TEST_P(EachSampling, IsAFunctionOfTheStepAlone) {
  const TrainConfig config = config_of(4, 3, 5, GetParam());
  Mixture forward(pairs_of({3, 17, 40, 100}), config);
  std::vector<StepPlan> plans;
  for (int64_t step = 0; step < 60; ++step) plans.push_back(forward.plan(step));
  for (const int64_t step : {59, 0, 31, 30, 32, 5}) {
    Mixture fresh(pairs_of({3, 17, 40, 100}), config);
    EXPECT_TRUE(equal(fresh.plan(step), plans[static_cast<size_t>(step)])) << step;
    EXPECT_TRUE(equal(forward.plan(step), plans[static_cast<size_t>(step)])) << step;
    EXPECT_EQ(forward.cursors(step), fresh.cursors(step)) << step;
  }
  TrainConfig other = config;
  other.seed = 8;
  Mixture reseeded(pairs_of({3, 17, 40, 100}), other);
  EXPECT_FALSE(equal(reseeded.plan(0), plans[0]) && equal(reseeded.plan(1), plans[1]));
}

TEST(Mixture, EverySentenceOnceAPassInAnotherOrderEachPass) {
  Mixture mixture(pairs_of({1, 32, 33, 100}), config_of(32, 2));
  std::map<std::pair<int, int64_t>, std::vector<int64_t>> passes;  // (pair, pass) -> sentences in order
  std::map<std::pair<int, int64_t>, int64_t> next_batch;
  for (int64_t step = 0; step < 400; ++step) {
    for (const Draw& draw : mixture.plan(step).draws) {
      const auto key = std::make_pair(draw.pair, draw.pass);
      EXPECT_EQ(draw.batch, next_batch[key]++);
      const int64_t size = mixture.pairs()[static_cast<size_t>(draw.pair)].sentences;
      EXPECT_EQ(std::ssize(draw.sentences), std::min<int64_t>(32, size - draw.batch * 32));  // the last one is short
      passes[key].insert(passes[key].end(), draw.sentences.begin(), draw.sentences.end());
    }
  }
  int whole = 0;
  for (const auto& [key, sentences] : passes) {
    const int64_t size = mixture.pairs()[static_cast<size_t>(key.first)].sentences;
    const std::set<int64_t> distinct(sentences.begin(), sentences.end());
    EXPECT_EQ(distinct.size(), sentences.size());
    EXPECT_GE(*distinct.begin(), 0);
    EXPECT_LT(*distinct.rbegin(), size);
    if (std::ssize(sentences) != size) continue;  // the pass that the run ended in
    ++whole;
    const auto later = passes.find({key.first, key.second + 1});
    if (size == 100 && later != passes.end() && later->second.size() == sentences.size()) {
      EXPECT_NE(later->second, sentences);
    }
  }
  EXPECT_GT(whole, 100);
}

TEST(Mixture, DrawsOfOneStepFromOnePairAreSuccessive) {
  Mixture mixture(pairs_of({50}), config_of(10, 3));
  for (int64_t step = 0; step < 10; ++step) {
    const StepPlan plan = mixture.plan(step);
    for (int64_t k = 0; k < 3; ++k) {
      const Draw& draw = plan.draws[static_cast<size_t>(k)];
      EXPECT_EQ(draw.pass * 5 + draw.batch, step * 3 + k);
    }
    EXPECT_NE(plan.draws[0].mask_key, plan.draws[1].mask_key);
  }
}

class EachTemperature : public testing::TestWithParam<double> {};
INSTANTIATE_TEST_SUITE_P(Mixture, EachTemperature, testing::Values(0.0, 1.0, 2.0, 5.0, 100.0));

// Pearson's statistic of the counts against q_j; for 5 degrees of freedom it exceeds 20.5 once in a thousand.
TEST_P(EachTemperature, FrequenciesFollowQ) {
  const std::vector<int64_t> sentences = {10, 64, 320, 999, 3200, 6400};
  Mixture mixture(pairs_of(sentences), config_of(32, 1, GetParam()));
  std::vector<double> q;
  for (const int64_t n : sentences) {
    const auto batches = static_cast<double>((n + 31) / 32);
    q.push_back(GetParam() == 0 ? 1 : std::pow(batches, 1 / GetParam()));
  }
  const double sum = std::accumulate(q.begin(), q.end(), 0.0);
  constexpr int64_t kDraws = 200000;
  const std::vector<int64_t> counts = mixture.cursors(kDraws);
  double statistic = 0;
  for (size_t j = 0; j < q.size(); ++j) {
    EXPECT_NEAR(mixture.probabilities()[j], q[j] / sum, 1e-12);
    const double expected = q[j] / sum * kDraws;
    statistic += (static_cast<double>(counts[j]) - expected) * (static_cast<double>(counts[j]) - expected) / expected;
  }
  EXPECT_LT(statistic, 20.5);
}

TEST(Mixture, SeeksAndDrawsFast) {
  std::vector<int64_t> sentences(21000);
  for (size_t i = 0; i < sentences.size(); ++i) sentences[i] = 1 + static_cast<int64_t>(i * 37 % 100000);
  for (const char* sampling : {"draw", "epoch"}) {
    Mixture mixture(pairs_of(sentences), config_of(32, 1, 5, sampling));
    const auto start = std::chrono::steady_clock::now();
    mixture.seek(100000);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    EXPECT_LT(seconds.count(), 1.0) << sampling;  // 10 us a draw
  }
}

TEST(Mixture, CountsStepsOfEpochs) {
  TrainConfig config = config_of(32, 3);
  config.steps = 11;
  EXPECT_EQ(Mixture(pairs_of({33, 32}), config).total_steps(), 11);
  config.epochs = 2.5;  // of 3 mini-batches: 7.5 draws, 3 a step
  const Mixture mixture(pairs_of({33, 32}), config);
  EXPECT_EQ(mixture.batches_per_epoch(), 3);
  EXPECT_EQ(mixture.total_steps(), 3);
}

TEST(Mixture, NamesAPairWithoutSentences) {
  EXPECT_THAT(hyperx::test::message_of(ExitCode::kBadConfig,
                                       [] {
                                         Mixture(pairs_of({5, 0}), config_of(32, 1));
                                       }),
              testing::HasSubstr("ner:l1"));
  EXPECT_THROW(Mixture({}, config_of(32, 1)), UserError);
}

TEST(MixtureEpoch, RepeatsItsOwnBatchesWithTheirMasks) {
  Mixture mixture(pairs_of({8, 120}), config_of(4, 1, 5, "epoch"));  // 2 and 30 mini-batches
  int repeated = 0;
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    std::map<std::pair<int, int64_t>, Draw> first;
    std::vector<int64_t> taken(2, 0);
    for (int64_t place = 0; place < 32; ++place) {
      const Draw draw = mixture.plan(epoch * 32 + place).draws[0];
      const auto j = static_cast<size_t>(draw.pair);
      EXPECT_EQ(draw.pass, epoch);
      EXPECT_EQ(draw.batch, taken[j]++ % mixture.batch_counts()[j]);
      const auto [entry, fresh] = first.emplace(std::make_pair(draw.pair, draw.batch), draw);
      if (fresh) continue;
      ++repeated;
      EXPECT_EQ(entry->second.sentences, draw.sentences);
      EXPECT_EQ(entry->second.mask_key, draw.mask_key);
    }
    const std::vector<int64_t> least = epoch_counts(mixture.batch_counts(), 5);
    EXPECT_EQ(taken[0] + taken[1], 32);
    EXPECT_TRUE(taken[0] >= least[0] && taken[1] >= least[1]);
  }
  EXPECT_GT(repeated, 10);
  EXPECT_NE(mixture.plan(0).draws[0].mask_key, mixture.plan(32).draws[0].mask_key);
}

nlohmann::json oracle_sampler() {
  return nlohmann::json::parse(read_file(test::kReferenceCases + "sampler/sampler.json"));
}

TEST(MixtureEpoch, CountsAreTheOriginals) {
  const nlohmann::json oracle = oracle_sampler();
  ASSERT_GT(oracle["counts"].size(), 40U);
  for (const auto& example : oracle["counts"]) {
    const auto batches = example["batches"].get<std::vector<int64_t>>();
    const double temperature = example["T"];
    EXPECT_EQ(draw_probabilities(batches, temperature), example["q"].get<std::vector<double>>());
    EXPECT_EQ(epoch_counts(batches, temperature), example["counts_before_fill"].get<std::vector<int64_t>>())
        << example["batches"] << " T " << temperature;
    const EpochLayout layout(batches, temperature, 3);
    EXPECT_EQ(layout.size(), example["total"].get<int64_t>());
    const std::vector<int64_t> counts = layout.counts(), least = epoch_counts(batches, temperature);
    int64_t filled = 0;
    for (size_t j = 0; j < counts.size(); ++j) {
      EXPECT_GE(counts[j], least[j]);
      filled += counts[j] - least[j];
    }
    EXPECT_EQ(filled, example["left_to_fill"].get<int64_t>());
  }
}

// The original's whole epochs: given the order of the pairs, our rule names the same mini-batches, and our own epochs
// take as many of each pair, but for the few filled in at random.
TEST(MixtureEpoch, RunsHaveTheOriginalsStructure) {
  const nlohmann::json oracle = oracle_sampler();
  for (const auto& run : oracle["runs"]) {
    const auto names = run["pairs"].get<std::vector<std::string>>();
    const auto batches = run["batches"].get<std::vector<int64_t>>();
    std::vector<int64_t> theirs(names.size(), 0);
    for (const auto& item : run["one_epoch"]) {
      const auto j = static_cast<size_t>(std::find(names.begin(), names.end(), item[0]) - names.begin());
      EXPECT_EQ(item[2].get<int64_t>(), theirs[j]++ % batches[j]);
    }
    std::vector<MixturePair> pairs;
    for (size_t j = 0; j < names.size(); ++j) pairs.push_back({parse_pair(names[j]), batches[j] * 32});
    Mixture mixture(pairs, config_of(32, 1, run["T"], "epoch"));
    std::vector<int64_t> ours(names.size(), 0);
    for (int64_t step = 0; step < mixture.batches_per_epoch(); ++step) {
      const Draw draw = mixture.plan(step).draws[0];
      const auto j = static_cast<size_t>(draw.pair);
      EXPECT_EQ(draw.batch, ours[j]++ % batches[j]);
    }
    const std::vector<int64_t> least = epoch_counts(batches, run["T"]);
    const int64_t fill = mixture.batches_per_epoch() - std::accumulate(least.begin(), least.end(), int64_t{0});
    for (size_t j = 0; j < names.size(); ++j) {
      EXPECT_TRUE(ours[j] >= least[j] && ours[j] <= least[j] + fill);
      EXPECT_TRUE(theirs[j] >= least[j] && theirs[j] <= least[j] + fill);
    }
  }
}

// What is filled in follows the counts: over many epochs its share of each pair is count / sum of counts.
TEST(MixtureEpoch, FillFollowsTheCounts) {
  const std::vector<int64_t> batches = {2, 3, 5, 7, 11, 13, 17, 19};
  const std::vector<int64_t> least = epoch_counts(batches, 5);
  std::vector<double> filled(batches.size(), 0);
  constexpr int kEpochs = 5000;
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    const std::vector<int64_t> counts =
        EpochLayout(batches, 5, derive_key(1, "test", static_cast<uint64_t>(epoch))).counts();
    for (size_t j = 0; j < counts.size(); ++j) filled[j] += static_cast<double>(counts[j] - least[j]);
  }
  const auto sum = static_cast<double>(std::accumulate(least.begin(), least.end(), int64_t{0}));
  const double all = std::accumulate(filled.begin(), filled.end(), 0.0);
  double statistic = 0;
  for (size_t j = 0; j < filled.size(); ++j) {
    const double expected = all * static_cast<double>(least[j]) / sum;
    statistic += (filled[j] - expected) * (filled[j] - expected) / expected;
  }
  EXPECT_EQ(all, 4.0 * kEpochs);
  EXPECT_LT(statistic, 24.3);  // 7 degrees of freedom: once in a thousand
}

}  // namespace
}  // namespace hyperx::data

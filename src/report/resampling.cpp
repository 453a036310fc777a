#include "report/resampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <thread>

#include "common/errors.h"
#include "common/random.h"

namespace hyperx::report {
namespace {

constexpr size_t kMostThreads = 16;
constexpr double kTie = 1e-12;  // differences this close are equal but for rounding

// Sums over sentences, each times its weight, for every run at once. Counts are stored sentence by sentence, run after
// run, in 32 bits, so that the inner loop is one the compiler vectorises.
class WeightedSums {
 public:
  explicit WeightedSums(const RunCounts& counts) : width_(2 * counts.size()) {
    sentences_ = counts.empty() ? 0 : counts[0].size();
    values_.resize(sentences_ * width_);
    for (size_t run = 0; run < counts.size(); ++run) {
      HYPERX_CHECK(counts[run].size() == sentences_, "runs of different test files");
      for (size_t i = 0; i < sentences_; ++i) {
        values_[i * width_ + 2 * run] = static_cast<int32_t>(counts[run][i].part);
        values_[i * width_ + 2 * run + 1] = static_cast<int32_t>(counts[run][i].whole);
      }
    }
  }

  void clear() { sums_.assign(width_, 0); }
  void add(size_t sentence) {
    const int32_t* const row = values_.data() + sentence * width_;
    int64_t* const sums = sums_.data();
    for (size_t i = 0; i < width_; ++i) sums[i] += row[i];
  }
  void store(data::MetricSums* to) const {
    for (size_t run = 0; 2 * run < width_; ++run) to[run] = {sums_[2 * run], sums_[2 * run + 1]};
  }
  size_t sentences() const { return sentences_; }

 private:
  size_t width_, sentences_ = 0;
  std::vector<int32_t> values_;  // [sentences][runs][part, whole]
  std::vector<int64_t> sums_;
};

// `draw(random, sums)` adds the sentences of one trial.
template <class Draw>
Resampled resample(const RunCounts& counts, const Resampling& options, const char* name, uint64_t key, Draw draw) {
  Resampled result;
  result.runs = counts.size();
  result.sums.resize(options.trials * result.runs);
  const WeightedSums all(counts);
  const size_t threads = std::clamp<size_t>(std::thread::hardware_concurrency(), 1, kMostThreads);
  std::vector<std::thread> workers;
  for (size_t worker = 0; worker < threads; ++worker)
    workers.emplace_back([&, worker] {
      WeightedSums sums = all;
      for (size_t trial = worker; trial < options.trials; trial += threads) {
        RandomStream random(derive_key(options.seed ^ mix64(key), name, trial));
        sums.clear();
        draw(random, sums);
        sums.store(result.sums.data() + trial * result.runs);
      }
    });
  for (std::thread& worker : workers) worker.join();
  return result;
}

// Indices of runs drawn for a trial: of `count` runs, drawn by the trial and the system's place only.
void draw_runs(const Resampling& options, size_t trial, uint64_t system, size_t count, std::vector<size_t>& drawn) {
  RandomStream random(derive_key(options.seed ^ mix64(system), "runs", trial));
  drawn.resize(count);
  for (size_t& run : drawn) run = static_cast<size_t>(random.uniform() * static_cast<double>(count));
}

double mean_of_drawn(const data::MetricSums* sums, const std::vector<size_t>& drawn) {
  double total = 0;
  for (const size_t run : drawn) total += sums[run].value();
  return total / static_cast<double>(drawn.size());
}

data::MetricSums swapped(const data::MetricSums& own, const data::MetricSums& own_taken,
                         const data::MetricSums& other_taken) {
  return {own.part - own_taken.part + other_taken.part, own.whole - own_taken.whole + other_taken.whole};
}

data::MetricSums total_of(const std::vector<data::MetricSums>& sentences) {
  data::MetricSums total;
  for (const data::MetricSums& sentence : sentences) total.part += sentence.part, total.whole += sentence.whole;
  return total;
}

}  // namespace

Resampled bootstrap_sums(const RunCounts& counts, const Resampling& options, uint64_t key) {
  return resample(counts, options, "bootstrap", key, [](RandomStream& random, WeightedSums& sums) {
    const uint64_t count = sums.sentences();
    for (uint64_t i = 0; i < count; ++i)  // 32 random bits for an index: test files are far smaller
      sums.add(static_cast<size_t>((random.next_u32() * count) >> 32));
  });
}

Resampled swapped_sums(const RunCounts& counts, const Resampling& options, uint64_t key) {
  return resample(counts, options, "swap", key, [](RandomStream& random, WeightedSums& sums) {
    uint32_t bits = 0;
    for (size_t i = 0; i < sums.sentences(); ++i, bits >>= 1) {
      if (i % 32 == 0) bits = random.next_u32();
      if ((bits & 1) != 0) sums.add(i);
    }
  });
}

std::vector<double> swapped_differences(const Resampled& resampled, const RunCounts& counts, size_t first_runs) {
  std::vector<data::MetricSums> totals;
  for (const auto& run : counts) totals.push_back(total_of(run));
  const size_t trials = resampled.sums.size() / resampled.runs;
  std::vector<double> differences(trials);
  for (size_t trial = 0; trial < trials; ++trial) {
    const data::MetricSums* const taken = resampled.trial(trial);
    double sum = 0;
    for (size_t a = 0; a < first_runs; ++a)
      for (size_t b = first_runs; b < resampled.runs; ++b)
        sum += swapped(totals[a], taken[a], taken[b]).value() - swapped(totals[b], taken[b], taken[a]).value();
    differences[trial] = sum / static_cast<double>(first_runs * (resampled.runs - first_runs));
  }
  return differences;
}

std::vector<double> bootstrap_differences(const Resampled& resampled, size_t first_runs, const Resampling& options) {
  const size_t trials = resampled.sums.size() / resampled.runs;
  std::vector<double> differences(trials);
  std::vector<size_t> drawn;
  for (size_t trial = 0; trial < trials; ++trial) {
    draw_runs(options, trial, 0, first_runs, drawn);
    const double first = mean_of_drawn(resampled.trial(trial), drawn);
    draw_runs(options, trial, 1, resampled.runs - first_runs, drawn);
    differences[trial] = first - mean_of_drawn(resampled.trial(trial) + first_runs, drawn);
  }
  return differences;
}

std::vector<double> bootstrap_scores(const Resampled& resampled, const Resampling& options) {
  const size_t trials = resampled.sums.size() / resampled.runs;
  std::vector<double> scores(trials);
  std::vector<size_t> drawn;
  for (size_t trial = 0; trial < trials; ++trial) {
    draw_runs(options, trial, 0, resampled.runs, drawn);
    scores[trial] = mean_of_drawn(resampled.trial(trial), drawn);
  }
  return scores;
}

double permutation_p(const std::vector<double>& differences, double observed) {
  const auto as_large = std::count_if(differences.begin(), differences.end(), [&](double difference) {
    return std::abs(difference) >= std::abs(observed) - kTie;
  });
  return static_cast<double>(as_large + 1) / static_cast<double>(differences.size() + 1);
}

Bounds percentile_bounds(std::vector<double> values, double level) {
  HYPERX_CHECK(!values.empty(), "no trials");
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    const double place = share * static_cast<double>(values.size() - 1);
    const auto below = static_cast<size_t>(place);
    const size_t above = std::min(below + 1, values.size() - 1);
    return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
  };
  return {at((1 - level) / 2), at((1 + level) / 2)};
}

std::vector<double> holm_corrected(const std::vector<double>& p_values) {
  std::vector<size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p_values[a] < p_values[b]; });
  std::vector<double> corrected(p_values.size());
  double largest = 0;
  for (size_t rank = 0; rank < order.size(); ++rank) {
    largest = std::max(largest, std::min(1.0, p_values[order[rank]] * static_cast<double>(order.size() - rank)));
    corrected[order[rank]] = largest;
  }
  return corrected;
}

double mean_score(const RunCounts& counts, size_t first_run, size_t end_run) {
  double sum = 0;
  for (size_t run = first_run; run < end_run; ++run) sum += total_of(counts[run]).value();
  return sum / static_cast<double>(end_run - first_run);
}

}  // namespace hyperx::report

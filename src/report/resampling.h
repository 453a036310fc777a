#pragma once

#include <cstdint>
#include <vector>

#include "data/tasks/scorer.h"

// Tests by resampling the sentences of a test file, from the counts of each sentence and not from its words.
//
// The score of a system is the mean over its runs (seeds) of a metric, which is a ratio of sums over sentences. All
// random numbers follow from (seed, name, trial), so that a result does not depend on threads or on what else is
// compared.
namespace hyperx::report {

// [runs][sentences] of one system on one test file.
using RunCounts = std::vector<std::vector<data::MetricSums>>;

// [trials][runs] the metric of each run, or of its sums, when its sentences are drawn again. The systems of a
// comparison share the draws: a sentence that is drawn is drawn for all.
struct Resampled {
  size_t runs = 0;
  std::vector<data::MetricSums> sums;  // [trials * runs]

  const data::MetricSums* trial(size_t index) const { return sums.data() + index * runs; }
};

struct Resampling {
  uint64_t seed = 12345;
  size_t trials = 10000;
};

// Each trial draws as many sentences as there are, with replacement.
Resampled bootstrap_sums(const RunCounts& counts, const Resampling& options, uint64_t key);
// Each trial takes each sentence with probability 1/2: those whose outcomes are swapped between two systems.
Resampled swapped_sums(const RunCounts& counts, const Resampling& options, uint64_t key);

// Differences of two systems' scores in each trial, where one Resampled has the runs of both systems: those of the
// first in [0, first_runs), the others behind them.
//
// Paired approximate randomisation: the outcomes of a sentence, of all runs, are swapped between the systems. With
// several runs, the difference is the mean over all pairs of a run of the one and a run of the other.
std::vector<double> swapped_differences(const Resampled& swapped, const RunCounts& counts, size_t first_runs);
// Paired bootstrap in two levels: runs (seeds) are drawn with replacement as well. Run draws of a trial depend on the
// trial only, so that all test files of a comparison draw the same seeds.
std::vector<double> bootstrap_differences(const Resampled& resampled, size_t first_runs, const Resampling& options);
// The same for one system: its score in each trial.
std::vector<double> bootstrap_scores(const Resampled& resampled, const Resampling& options);

// Two-sided: the share of trials whose difference is at least as large as the observed one, which counts as one of
// them.
double permutation_p(const std::vector<double>& differences, double observed);
// The two quantiles that leave out (1 - level) / 2 on each side, interpolated as by numpy.
struct Bounds {
  double low = 0, high = 0;
};
Bounds percentile_bounds(std::vector<double> values, double level = 0.95);
// Holm's step-down correction: the adjusted p-values in the order given.
std::vector<double> holm_corrected(const std::vector<double>& p_values);

double mean_score(const RunCounts& counts, size_t first_run, size_t end_run);

}  // namespace hyperx::report

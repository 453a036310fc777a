#include "data/batch/sampling_epoch.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "common/errors.h"

namespace hyperx::data {

namespace {

// Index of the range that holds `place`, where `ends` are the running sums of the ranges' sizes.
int range_of(const std::vector<int64_t>& ends, int64_t place) {
  return static_cast<int>(std::upper_bound(ends.begin(), ends.end(), place) - ends.begin());
}

std::vector<int64_t> running_sums(const std::vector<int64_t>& counts) {
  std::vector<int64_t> ends(counts.size());
  std::partial_sum(counts.begin(), counts.end(), ends.begin());
  return ends;
}

}  // namespace

// The order of the divisions is the original's: int(q_j Σ n) below depends on the last bit.
std::vector<double> draw_probabilities(const std::vector<int64_t>& batch_counts, double temperature) {
  const double total = static_cast<double>(std::accumulate(batch_counts.begin(), batch_counts.end(), int64_t{0}));
  std::vector<double> weights(batch_counts.size());
  double sum = 0;
  for (size_t j = 0; j < weights.size(); ++j) {
    weights[j] = temperature == 0 ? 1.0 : std::pow(static_cast<double>(batch_counts[j]) / total, 1.0 / temperature);
    sum += weights[j];
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

std::vector<int64_t> epoch_counts(const std::vector<int64_t>& batch_counts, double temperature) {
  const double total = static_cast<double>(std::accumulate(batch_counts.begin(), batch_counts.end(), int64_t{0}));
  const std::vector<double> q = draw_probabilities(batch_counts, temperature);
  std::vector<int64_t> counts(q.size());
  for (size_t j = 0; j < q.size(); ++j) counts[j] = static_cast<int64_t>(q[j] * total);
  return counts;
}

EpochLayout::EpochLayout(const std::vector<int64_t>& batch_counts, double temperature, uint64_t key) : order_(1, 0) {
  const int64_t total = std::accumulate(batch_counts.begin(), batch_counts.end(), int64_t{0});
  std::vector<int64_t> counts = epoch_counts(batch_counts, temperature);
  const std::vector<int64_t> weights = running_sums(counts);
  HYPERX_CHECK(!weights.empty() && total > 0, "an epoch of nothing");
  RandomStream stream(derive_key(key, "fill"));
  const int64_t missing = total - weights.back();
  for (int64_t k = 0; k < missing; ++k) {
    // With more pairs than mini-batches every count may be 0: then all pairs are equally likely.
    const int pair = weights.back() > 0
                         ? range_of(weights, static_cast<int64_t>(stream.below(static_cast<uint64_t>(weights.back()))))
                         : static_cast<int>(stream.below(counts.size()));
    ++counts[static_cast<size_t>(pair)];
  }
  ends_ = running_sums(counts);
  order_ = KeyedPermutation(static_cast<uint64_t>(ends_.back()), derive_key(key, "order"));
}

int EpochLayout::pair_at(int64_t place) const {
  return range_of(ends_, static_cast<int64_t>(order_(static_cast<uint64_t>(place))));
}

std::vector<int64_t> EpochLayout::counts() const {
  std::vector<int64_t> counts(ends_.size());
  std::adjacent_difference(ends_.begin(), ends_.end(), counts.begin());
  return counts;
}

}  // namespace hyperx::data

#pragma once

#include <cstdint>
#include <vector>

#include "common/random.h"

namespace hyperx::data {

// q_j ∝ (n_j / Σ n)^(1/temperature), summing to 1; temperature 0: uniform.
std::vector<double> draw_probabilities(const std::vector<int64_t>& batch_counts, double temperature);

// int(q_j Σ n): the mini-batches that an epoch takes of each pair before the remainder is filled.
std::vector<int64_t> epoch_counts(const std::vector<int64_t>& batch_counts, double temperature);

// One epoch as the original's temperature sampling lays it out: Σ n mini-batches, of which int(q_j Σ n) are of pair j
// and the few missing ones are drawn with these counts as weights, all in random order. A pair with more than its n_j
// repeats its mini-batches from the first one; a pair with fewer uses only the first of them. The caller does this,
// from the number of times that a pair came up before. Memory is O(pairs): the order is a keyed permutation of the
// epoch's places.
class EpochLayout {
 public:
  EpochLayout() : order_(1, 0) {}
  // `key` determines the remainder and the order.
  EpochLayout(const std::vector<int64_t>& batch_counts, double temperature, uint64_t key);
  int pair_at(int64_t place) const;  // place < size()
  int64_t size() const { return ends_.empty() ? 0 : ends_.back(); }
  std::vector<int64_t> counts() const;  // [pairs]

 private:
  std::vector<int64_t> ends_;  // [pairs] running sum of the counts
  KeyedPermutation order_;
};

}  // namespace hyperx::data

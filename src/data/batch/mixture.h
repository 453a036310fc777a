#pragma once

#include <cstdint>
#include <vector>

#include "common/config/config.h"
#include "data/batch/sampling_epoch.h"
#include "data/tasks/pair.h"

namespace hyperx::data {

// A training pair and the size of its train split.
struct MixturePair {
  Pair pair;
  int64_t sentences = 0;
};

// One mini-batch: sentences of one pair, within one pass over it.
struct Draw {
  int pair = 0;                    // index into the mixture's pairs
  int64_t pass = 0;                // passes over the pair begun before this one
  int64_t batch = 0;               // place within the pass
  uint64_t mask_key = 0;           // key that the masks of this mini-batch are drawn with (mlm)
  std::vector<int64_t> sentences;  // [<= batch_sentences] indices into the pair's train split
};

// What one optimizer step trains on: train.pairs_per_step mini-batches.
struct StepPlan {
  int64_t step = 0;
  std::vector<Draw> draws;
};

// Which pairs and sentences every step takes: a pure function of (seed, step), the same for any number of ranks.
//
// sampling=draw: the pair of each mini-batch is drawn with probability q_j ∝ n_j^(1/T), where n_j is its number of
// mini-batches (docs/method.md section 3); T = 0 draws uniformly. A pair's k-th mini-batch is the next stretch of a
// keyed permutation of its sentences: every sentence once per pass, in another order each pass; the last mini-batch of
// a pass may be short. sampling=epoch: whole epochs, laid out as the original does (EpochLayout).
//
// The place within a pair depends on the draws before it, so the mixture replays them: forward this is cheap (some 10
// million draws per second), backward it starts from the beginning. Not for use by two threads at once; a copy is
// independent.
class Mixture {
 public:
  // UserError (78): no pairs, or a pair without sentences, which it names.
  Mixture(std::vector<MixturePair> pairs, const TrainConfig& config);

  StepPlan plan(int64_t step);
  // Replays the draws up to just before `step`.
  void seek(int64_t step);
  // [pairs] mini-batches taken of each pair before `step` (in epoch sampling: in the current epoch). A checkpoint
  // stores them; on resume they must be equal.
  std::vector<int64_t> cursors(int64_t step);

  const std::vector<MixturePair>& pairs() const { return pairs_; }
  const std::vector<int64_t>& batch_counts() const { return batch_counts_; }   // [pairs] n_j
  const std::vector<double>& probabilities() const { return probabilities_; }  // [pairs] q_j
  int64_t batches_per_epoch() const { return total_batches_; }                 // Σ n_j
  // Steps of the whole run: train.steps, or, with train.epochs > 0, the steps that take train.epochs times Σ n_j
  // mini-batches.
  int64_t total_steps() const { return total_steps_; }

 private:
  int pair_of_draw(int64_t draw);
  void enter_draw(int64_t draw);
  Draw take(int64_t draw);
  std::vector<int64_t> sentences_of(int pair, int64_t pass, int64_t batch) const;

  std::vector<MixturePair> pairs_;
  uint64_t seed_;
  int64_t batch_sentences_, pairs_per_step_;
  bool whole_epochs_;
  double temperature_ = 0;
  std::vector<int64_t> batch_counts_;
  std::vector<double> probabilities_, cumulative_;
  int64_t total_batches_ = 0, total_steps_ = 0;
  uint64_t draw_key_;

  int64_t next_draw_ = 0;  // the draw that cursors_ are valid for
  std::vector<int64_t> cursors_;
  int64_t layout_epoch_ = -1;
  EpochLayout layout_;  // of layout_epoch_
};

}  // namespace hyperx::data

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/scoring_counts.h"

namespace hyperx::data {

// Share of words with the right tag. What it counts is a table of plain integers, so that ranks which scored different
// sentences sum their counts() elementwise and get the scores of all.
class AccuracyScorer {
 public:
  explicit AccuracyScorer(std::vector<std::string> labels);

  // The words of a sentence, or of several. Equal lengths; gold in [0, labels), predicted in [-1, labels).
  void add(std::span<const LabelId> gold, std::span<const LabelId> predicted);

  int64_t words() const;
  int64_t correct() const;
  int64_t without_prediction() const;
  double accuracy() const { return ratio(correct(), words()); }
  // Tags that stand in gold or prediction, in the order of the labels.
  std::vector<std::pair<std::string, Score>> tag_scores() const;

  // [labels x (labels + 1)] words by gold tag (row) and predicted tag (column); the last column: no prediction.
  const std::vector<int64_t>& counts() const { return counts_; }
  void set_counts(std::span<const int64_t> counts);  // in place of one's own: after a sum over ranks
  void merge(std::span<const int64_t> counts);       // added to one's own

 private:
  size_t width() const { return labels_.size() + 1; }
  std::vector<std::string> labels_;
  std::vector<int64_t> counts_;
};

}  // namespace hyperx::data

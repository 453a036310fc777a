#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/tasks/scoring_counts.h"

namespace hyperx::data {

struct FileScores;

// Share of words with the right tag.
class AccuracyScorer {
 public:
  explicit AccuracyScorer(std::vector<std::string> labels);

  // The words of one sentence or of several. Equal lengths; gold in [0, labels), predicted in [-1, labels).
  void add(std::span<const LabelId> gold, std::span<const LabelId> predicted);

  int64_t words() const;
  int64_t correct() const;
  int64_t without_prediction() const;
  double accuracy() const { return ratio(correct(), words()); }
  // Tags that occur in gold or prediction, in the order of the labels.
  std::vector<std::pair<std::string, Score>> tag_scores() const;
  void add_to(FileScores& scores) const;  // words, accuracy, and the scores by tag

 private:
  size_t width() const { return labels_.size() + 1; }
  std::vector<std::string> labels_;
  // [labels x (labels + 1)] words by gold tag (row) and predicted tag (column); the last column: no prediction.
  std::vector<int64_t> counts_;
};

}  // namespace hyperx::data

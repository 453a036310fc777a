#pragma once

#include <cstdint>

namespace hyperx::data {

// A label of a task as a number: the index of a tag in a list of labels, or what the task makes of it (Task::label_of).
// A word without a prediction (truncated, or without a sub-word) has kNoPrediction: it counts as wrong, never as
// absent.
using LabelId = int32_t;
constexpr LabelId kNoPrediction = -1;

struct MatchCounts {
  int64_t gold = 0, predicted = 0, correct = 0;

  void add(const MatchCounts& other) {
    gold += other.gold;
    predicted += other.predicted;
    correct += other.correct;
  }
  bool operator==(const MatchCounts&) const = default;
};

// A ratio whose denominator is zero is 0.
struct Score {
  double precision = 0, recall = 0, f1 = 0;
  int64_t support = 0;  // gold items

  bool operator==(const Score&) const = default;
};

inline double ratio(int64_t part, int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

inline Score score_of(const MatchCounts& counts) {
  Score score;
  score.precision = ratio(counts.correct, counts.predicted);
  score.recall = ratio(counts.correct, counts.gold);
  const double sum = score.precision + score.recall;
  score.f1 = sum == 0 ? 0.0 : 2 * score.precision * score.recall / sum;
  score.support = counts.gold;
  return score;
}

}  // namespace hyperx::data

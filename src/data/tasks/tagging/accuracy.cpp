#include "data/tasks/tagging/accuracy.h"

#include <algorithm>
#include <numeric>

#include "common/errors.h"
#include "data/tasks/scoring.h"

namespace hyperx::data {

AccuracyScorer::AccuracyScorer(std::vector<std::string> labels)
    : labels_(std::move(labels)), counts_(labels_.size() * width(), 0) {}

void AccuracyScorer::add(std::span<const LabelId> gold, std::span<const LabelId> predicted) {
  HYPERX_CHECK(gold.size() == predicted.size(), "gold and predicted tags are not of one length");
  const auto label_count = static_cast<LabelId>(labels_.size());
  for (size_t i = 0; i < gold.size(); ++i) {
    HYPERX_CHECK(gold[i] >= 0 && gold[i] < label_count, "gold label " + std::to_string(gold[i]));
    HYPERX_CHECK(predicted[i] >= kNoPrediction && predicted[i] < label_count, "label " + std::to_string(predicted[i]));
    const size_t column = predicted[i] == kNoPrediction ? labels_.size() : static_cast<size_t>(predicted[i]);
    ++counts_[static_cast<size_t>(gold[i]) * width() + column];
  }
}

int64_t AccuracyScorer::words() const { return std::accumulate(counts_.begin(), counts_.end(), int64_t{0}); }

int64_t AccuracyScorer::correct() const {
  int64_t sum = 0;
  for (size_t tag = 0; tag < labels_.size(); ++tag) sum += counts_[tag * width() + tag];
  return sum;
}

int64_t AccuracyScorer::without_prediction() const {
  int64_t sum = 0;
  for (size_t tag = 0; tag < labels_.size(); ++tag) sum += counts_[tag * width() + labels_.size()];
  return sum;
}

std::vector<std::pair<std::string, Score>> AccuracyScorer::tag_scores() const {
  std::vector<std::pair<std::string, Score>> scores;
  for (size_t tag = 0; tag < labels_.size(); ++tag) {
    MatchCounts counts;
    for (size_t column = 0; column < width(); ++column) counts.gold += counts_[tag * width() + column];
    for (size_t row = 0; row < labels_.size(); ++row) counts.predicted += counts_[row * width() + tag];
    counts.correct = counts_[tag * width() + tag];
    if (counts.gold + counts.predicted > 0) scores.emplace_back(labels_[tag], score_of(counts));
  }
  return scores;
}

void AccuracyScorer::add_to(FileScores& scores) const {
  scores.words = words();
  scores.without_prediction = without_prediction();
  scores.correct = correct();
  scores.accuracy = accuracy();
  scores.tags = tag_scores();
}

}  // namespace hyperx::data

#pragma once

#include <string>
#include <vector>

#include "data/tasks/scorer.h"

namespace hyperx::data {

// UAS: the share of words with the right head; LAS: with the right head and relation. By relation: precision and recall
// of head and relation together. Labels are DependencyLabels of the relations.
class AttachmentScorer : public Scorer {
 public:
  explicit AttachmentScorer(std::vector<std::string> relations);

  void add(const ScoredSentence& sentence) override;
  MetricSet metrics() const override;
  std::optional<MetricSums> sums(const std::string& metric) const override;
  void add_to(FileScores& scores) const override;

 private:
  std::vector<std::string> relations_;
  std::vector<MatchCounts> counts_;  // by relation
  int64_t words_ = 0, heads_ = 0, both_ = 0, without_prediction_ = 0;
};

}  // namespace hyperx::data

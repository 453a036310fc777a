#include "data/tasks/dependencies/attachment_scorer.h"

#include "common/errors.h"
#include "data/tasks/dependencies/dependency_label.h"
#include "data/tasks/scoring.h"

namespace hyperx::data {

AttachmentScorer::AttachmentScorer(std::vector<std::string> relations)
    : relations_(std::move(relations)), counts_(relations_.size()) {}

void AttachmentScorer::add(const ScoredSentence& sentence) {
  HYPERX_CHECK(sentence.gold.size() == sentence.predicted.size(), "gold and predicted trees are not of one length");
  const int64_t relations = std::ssize(relations_);
  for (size_t word = 0; word < sentence.gold.size(); ++word) {
    const DependencyLabel gold = DependencyLabel::of(sentence.gold[word], relations);
    ++words_;
    ++counts_[static_cast<size_t>(gold.relation)].gold;
    if (sentence.predicted[word] == kNoPrediction) {
      ++without_prediction_;
      continue;
    }
    const DependencyLabel predicted = DependencyLabel::of(sentence.predicted[word], relations);
    MatchCounts& counts = counts_.at(static_cast<size_t>(predicted.relation));
    ++counts.predicted;
    heads_ += predicted.head == gold.head;
    if (sentence.predicted[word] != sentence.gold[word]) continue;
    ++both_;
    ++counts.correct;
  }
}

MetricSet AttachmentScorer::metrics() const {
  MetricSet metrics;
  metrics.values = {{"uas", ratio(heads_, words_)}, {"las", ratio(both_, words_)}};
  for (size_t i = 0; i < relations_.size(); ++i)
    if (counts_[i].gold + counts_[i].predicted > 0) metrics.types[relations_[i]] = score_of(counts_[i]);
  return metrics;
}

std::optional<MetricSums> AttachmentScorer::sums(const std::string& metric) const {
  if (metric == "uas") return MetricSums{heads_, words_};
  if (metric == "las") return MetricSums{both_, words_};
  return std::nullopt;
}

void AttachmentScorer::add_to(FileScores& scores) const {
  scores.attachment = Attachment{ratio(heads_, words_), ratio(both_, words_)};
  scores.words = words_;
  scores.without_prediction = without_prediction_;
  scores.correct = both_;
  scores.accuracy = ratio(both_, words_);
  for (const auto& [relation, score] : metrics().types) scores.tags.emplace_back(relation, score);
}

}  // namespace hyperx::data

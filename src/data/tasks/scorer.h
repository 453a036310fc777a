#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "data/tasks/scoring_counts.h"

namespace hyperx::data {

// The metrics of one set of sentences. Keys of `values`: accuracy; f1, precision, recall, macro_f1, weighted_f1,
// strict_f1, ...; loss, perplexity. Shares are in [0, 1]. A value that is not finite is null in the file.
struct MetricSet {
  std::map<std::string, double> values;
  std::map<std::string, Score> types;  // by entity type or by tag

  bool operator==(const MetricSet&) const = default;
};

// Whether a metric is a share in [0, 1], which tables show in per cent, and of which more is better; the others are
// losses.
inline bool is_share(const std::string& metric) { return metric != "loss" && metric != "perplexity"; }

// A metric as a ratio of two sums over sentences.
struct MetricSums {
  int64_t part = 0, whole = 0;

  double value() const { return ratio(part, whole); }
};

// The predictions of a model for one sentence.
struct ScoredSentence {
  std::span<const LabelId> gold = {}, predicted = {};  // [words] for a task with tags
  double loss = 0;                                     // sum over the masked tokens, for a masked task
  int64_t masked = 0;                                  // number of these tokens
};

struct FileScores;

// Computes metrics from sentences, which must be added in the order of the file.
class Scorer {
 public:
  virtual ~Scorer() = default;
  virtual void add(const ScoredSentence& sentence) = 0;
  virtual MetricSet metrics() const = 0;
  // The metric of that name (a key of MetricSet::values) of the sentences so far, as two sums, so that sentences can be
  // resampled; nothing: it is no such ratio.
  virtual std::optional<MetricSums> sums(const std::string& metric) const = 0;
  // Adds what `hyperx score` shows for this task.
  virtual void add_to([[maybe_unused]] FileScores& scores) const {}
};

}  // namespace hyperx::data

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/tasks/pair.h"
#include "data/tasks/scorer.h"

namespace hyperx::data {

// The score of one checkpoint on one pair and split: results/step-N/SPLIT/pos.tr.json.
struct EvaluationResult {
  Pair pair;
  std::string split;
  std::string main_metric;  // key of metrics.values that tables and checkpoint selection use
  MetricSet metrics;
  std::optional<MetricSet> novel;  // the same on sentences not in the training data; none: no such sentences
  int64_t novel_sentences = 0;
  std::optional<double> baseline;  // main metric of always predicting the most frequent tag of the training data
  bool trained = false;            // the pair's own training split was among the checkpoint's sources
  int64_t sentences = 0;
  int64_t words = 0;             // of the file
  int64_t words_scored = 0;      // pos, ner: equal to words; mlm: the masked tokens
  int64_t unlabelled_words = 0;  // without a sub-word to carry a label: counted as wrong
  int64_t truncated_words = 0;   // beyond data.max_subwords: counted as wrong
  std::string checkpoint_xxh128, corpus_xxh128;
  std::string signature;

  double main_value() const;  // NaN where the metric is missing
  bool operator==(const EvaluationResult&) const = default;
};

// `pos:tr|test|source=UD_Turkish-IMST@bcd48daa9957|n=1100/10032|accuracy|hyperx 0.1.0`: pair, split, source or release
// of the data, sentences/words, scorer, version. A `|` or control character in `source` becomes a space.
std::string signature_line(const Pair& pair, const std::string& split, const std::string& source, int64_t sentences,
                           int64_t words, const std::string& scorer);

// "FOLDER/pos.tr.json", "FOLDER/pos.tr.tsv"
std::string result_path(const std::string& folder, const Pair& pair);
std::string predictions_path(const std::string& folder, const Pair& pair);
std::string result_to_json(const EvaluationResult& result);
// UserError (65) naming `origin`: not JSON, a field that is missing or of another type, another format version.
EvaluationResult result_from_json(const std::string& text, const std::string& origin);
// Writes result_path() and, unless `predictions` is empty, predictions_path(); each file atomically. If it is empty,
// the predictions of an older score are removed: predictions next to a result always belong to it.
void write_result(const std::string& folder, const EvaluationResult& result, const std::string& predictions = "");
EvaluationResult read_result(const std::string& path);

}  // namespace hyperx::data

#include "data/corpus/majority_baseline.h"

#include <algorithm>

namespace hyperx::data {
namespace {

constexpr char kTrain[] = "train";

}  // namespace

std::optional<double> majority_baseline(const Corpus& corpus, const Pair& pair, const std::string& split,
                                        int64_t sentences, const std::vector<Pair>& trained) {
  const Task& task = corpus.tasks().at(pair.task);
  if (task.masked() || task.is_tree()) return std::nullopt;
  const bool is_trained = std::find(trained.begin(), trained.end(), pair) != trained.end();
  std::vector<int64_t> counts(task.labels().size(), 0);
  int64_t words = 0;
  for (const Pair& other : trained) {
    if (is_trained ? other != pair : other.task != pair.task) continue;
    if (!corpus.has(other, kTrain)) return std::nullopt;
    for (const LabelId label : corpus.split(other, kTrain).labels) {
      if (label < 0 || label >= std::ssize(counts)) return std::nullopt;  // damaged, which its digest tells elsewhere
      ++counts[static_cast<size_t>(label)];
      ++words;
    }
  }
  if (words == 0) return std::nullopt;
  const auto most = static_cast<LabelId>(std::max_element(counts.begin(), counts.end()) - counts.begin());
  const Split& scored = corpus.split(pair, split);
  const auto scorer = task.scorer(task.labels());
  std::vector<LabelId> predicted;
  for (int64_t sentence = 0; sentence < sentences; ++sentence) {
    const auto gold = scored.labels_of(sentence);
    predicted.assign(gold.size(), most);
    scorer->add({.gold = gold, .predicted = predicted});
  }
  return scorer->metrics().values.at(task.main_metric());
}

}  // namespace hyperx::data

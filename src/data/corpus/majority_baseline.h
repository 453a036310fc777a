#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "data/corpus/corpus.h"

namespace hyperx::data {

// What always predicting the most frequent label of the training data scores, by the task's main metric, on the first
// `sentences` of a split. Training data is that of the pair, if it is one of `trained`, else that of all trained pairs
// of its task. Nothing: the task is masked or has trees, or the corpus lacks that training data.
std::optional<double> majority_baseline(const Corpus& corpus, const Pair& pair, const std::string& split,
                                        int64_t sentences, const std::vector<Pair>& trained);

}  // namespace hyperx::data

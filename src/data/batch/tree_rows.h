#pragma once

#include <cstdint>
#include <vector>

#include "data/batch/batch.h"

namespace hyperx::data {

// `labels` [labels]: DependencyLabels of a batch of trees, whose heads count the words of the sentence that have rows.
// Afterwards they are numbers of words of the sentence, from 1, as in CoNLL-U; 0 is the root in both.
void number_heads(const Batch& batch, int64_t relations, std::vector<int64_t>& labels);

}  // namespace hyperx::data

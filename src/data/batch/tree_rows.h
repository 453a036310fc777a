#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/batch/batch.h"

namespace hyperx::data {

// Whether the sub-word at `place` is one of the rows of a word whose label lies at `first`: a bare blank behind it
// belongs to the next word.
inline bool is_row_of_word(int64_t place, int64_t first, int32_t id, int32_t blank_id) {
  return place == first || (place > first && id != blank_id);
}

// The numbers of a sentence's words among those that have rows, whose labels lie at `positions` [words] in [0, kept):
// [words + 1], 0 for the root, from 1 for words; -1: a word without rows. As heads of labels count them.
std::vector<int64_t> candidates_of(std::span<const int32_t> positions, int64_t kept);

// `labels` [labels]: DependencyLabels of a batch of trees, whose heads count the words of the sentence that have rows.
// Afterwards they are numbers of words of the sentence, from 1, as in CoNLL-U; 0 is the root in both.
void number_heads(const Batch& batch, int64_t relations, std::vector<int64_t>& labels);

}  // namespace hyperx::data

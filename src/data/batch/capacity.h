#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "data/batch/batch.h"

namespace hyperx::data {

// The sizes that a CUDA graph of a step is captured for. Batches are filled up to the next sizes of a fixed series, so
// that few graphs serve all batches of a run.
struct Capacity {
  int64_t tokens = 0, sentences = 0, labels = 0;
  int64_t longest = 0;  // tokens of the longest sentence
  auto operator<=>(const Capacity&) const = default;
};

// The smallest capacity that holds a batch of one segment: at most an eighth more tokens than it has, or 64. `masked`:
// there are few labels, and each costs a row of the vocabulary's size; otherwise there is room for a label at each
// token.
Capacity capacity_of(const Batch& batch, bool masked);

// Fills the batch up to that capacity. After its sentences come further sentences made of tokens [0], which no label
// and no other sentence refers to, and labels that are kNoLabel; the remaining sentences are empty. One segment.
Batch filled(const Batch& batch, const Capacity& capacity);

// A separate batch for each segment.
std::vector<Batch> split_segments(const Batch& batch);

}  // namespace hyperx::data

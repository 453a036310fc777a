#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "data/batch/batch.h"

namespace hyperx::data {

// Sizes that a CUDA graph of a step is captured for. Batches are filled up to the next ones of a ladder, so that few
// graphs serve all batches of a run.
struct Capacity {
  int64_t tokens = 0, sentences = 0, labels = 0;
  int64_t longest = 0;  // tokens of a sentence
  auto operator<=>(const Capacity&) const = default;
};

// The smallest capacity that holds a batch of one segment: at most an eighth more tokens than it has, or 64. `masked`:
// its labels are few and each costs a row of the vocabulary's size; else there is room for a label at each token.
Capacity capacity_of(const Batch& batch, bool masked);

// The batch at that capacity: behind its sentences stand some of tokens [0] that no label and no other sentence looks
// at, and labels that are kNoLabel; what is left of the sentences is empty. One segment.
Batch filled(const Batch& batch, const Capacity& capacity);

// A batch of its own for each segment.
std::vector<Batch> split_segments(const Batch& batch);

}  // namespace hyperx::data

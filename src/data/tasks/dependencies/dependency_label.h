#pragma once

#include <cstdint>

#include "data/tasks/scoring_counts.h"

namespace hyperx::data {

// Head and relation of a word as one number, head * relations + relation. The head is 0 for the root, otherwise the
// number of a word of the sentence, from 1.
struct DependencyLabel {
  int64_t head = 0, relation = 0;
  int64_t packed(int64_t relations) const { return head * relations + relation; }
  static DependencyLabel of(int64_t packed, int64_t relations) { return {packed / relations, packed % relations}; }
};

}  // namespace hyperx::data

#pragma once

#include "common/config/schema.h"

namespace hyperx::data {

// The options "dep.*" of dependency parsing.
struct DepOptions {
  // Candidates for a head of each word in training: 0: the root and the words of the sentence. N: up to N rows in all
  // beside the root, of which those without a word score 0, as in the original, whose sentences are padded to N.
  int zero_candidates = 0;
};

void add_dep_options(config::Schema& schema);

}  // namespace hyperx::data

#pragma once

#include <string>

#include "common/config/schema.h"
#include "data/tasks/task.h"

namespace hyperx::data {

// The options "pos.*" of part-of-speech tagging.
struct PosOptions {
  std::string multiword = "drop";   // drop | keep
  std::string metric = "accuracy";  // accuracy | seqeval
};

void add_pos_options(config::Schema& schema);

CorpusOption pos_corpus_option();  // pos.multiword

}  // namespace hyperx::data

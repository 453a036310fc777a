#pragma once

#include <string>

#include "common/config/schema.h"

namespace hyperx::data {

// Options "pos.", of part-of-speech tagging.
struct PosOptions {
  std::string multiword = "drop";   // drop | keep
  std::string metric = "accuracy";  // accuracy | seqeval
};

void add_pos_options(config::Schema& schema);

}  // namespace hyperx::data

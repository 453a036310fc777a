#pragma once

#include <string>

#include "common/config/sections.h"
#include "data/corpus/corpus_index.h"

namespace hyperx::data {

struct PrepareOptions {
  std::string manifest;
  std::string root;                     // data.root; empty: the manifest's root
  std::string corpus;                   // folder to write
  std::string tokenizer;                // folder of an encoder
  std::string label_position = "auto";  // data.label_position
  int max_subwords = 256;               // limit used to count the words that will be truncated
  Sections task_options;                // pos.multiword and the like
  std::string overlap = "report";       // report | drop | refuse
  bool train_on_test = false;
  bool force = false;  // replace an existing corpus
  int threads = 0;     // 0: all that the process may use
};

// Reads the files that a manifest lists, tokenises them and writes a corpus folder: one file per pair, index.json,
// summary.json and summary.tsv. The result does not depend on the number of threads. Languages are processed in groups,
// so memory does not grow with their number. Errors of the readers propagate, and no folder is left behind.
CorpusIndex prepare(const PrepareOptions& options);

}  // namespace hyperx::data

#pragma once

#include <string>

#include "data/corpus/corpus_index.h"

namespace hyperx::data {

// The corpus in figures, one line per pair and split, in three forms. Columns: pair, split, sentences, words, subwords,
// unk, unk_rate, empty, truncated, over_limit, longest, overlap (any), overlap_own (with its own train split),
// overlap_tasks (other labelled train splits of the language), overlap_text (mlm), dropped, notes.
std::string summary_table(const CorpusIndex& index);  // aligned, for people
std::string summary_tsv(const CorpusIndex& index);
std::string summary_json(const CorpusIndex& index);

}  // namespace hyperx::data

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/corpus/corpus_index.h"
#include "data/corpus/overlap.h"
#include "data/source/manifest.h"
#include "data/tasks/task.h"
#include "data/tokenizer/tokenizer.h"

namespace hyperx::data {

constexpr int64_t kTextSentenceLimit = 100000;  // for a masked task's pair whose manifest line has no limit=

// One split in memory, as it will be written to the pair's file (arrays as in Split).
struct SplitArrays {
  std::vector<int32_t> token_ids;
  std::vector<int64_t> sentence_starts{0};
  std::vector<int32_t> word_positions;
  std::vector<int64_t> word_starts{0};
  std::vector<LabelId> labels;
  std::vector<uint8_t> seen;      // dev, test
  std::vector<SentenceKey> keys;  // for the overlap report; not written
  std::vector<SourceEntry> sources;
  bool masked = false;  // Task::masked: no words
  bool limited = false;
  int64_t cut = 0;  // SplitCounts::cut, of all sentences that were read

  int64_t sentences() const { return static_cast<int64_t>(sentence_starts.size()) - 1; }
};

// Reads and tokenises the files of one pair and split. `root` shortens the paths that the index stores. UserErrors of
// the readers propagate.
// `label_position`: as resolved_label_position() gives it.
SplitArrays read_split(const std::vector<const ManifestEntry*>& entries, const Task& task, const Tokenizer& tokenizer,
                       const std::string& label_position, const std::string& root);

// Removes the sentences with drop[i] != 0; returns how many.
int64_t drop_sentences(SplitArrays& split, const std::vector<uint8_t>& drop);

// What is most likely a mistake in the split's file or its encoder, one text each, for warnings.
std::vector<std::string> doubts_about(const SplitArrays& split, const SplitCounts& counts, const Task& task);

SplitCounts count_split(const SplitArrays& split, int32_t unk_id, int max_subwords);

}  // namespace hyperx::data

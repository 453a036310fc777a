#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/tasks/pair.h"
#include "data/tasks/task_set.h"

namespace hyperx::data {

constexpr int kCorpusFormatVersion = 4;
constexpr int kOldestCorpusFormatVersion = 2;  // that is still read: labels of 16 bits; up to 3: no digests of files
constexpr const char* kCorpusIndexName = "index.json";

// One array in the pair's file.
struct DatasetEntry {
  std::string name;     // "train/token_ids"
  std::string type;     // "int32", as h5::name_of
  int64_t count = 0;    // elements
  int64_t offset = -1;  // bytes from the start of the file; -1: empty
  std::string xxh128;
};

// The contents of a split, as the summary reports them. For mlm a line is a sentence and `words` is 0.
struct SplitCounts {
  int64_t sentences = 0, words = 0, subwords = 0;
  int64_t unk = 0;         // sub-words that are [UNK]
  int64_t empty = 0;       // words (mlm: lines) without any sub-word: no label position
  int64_t truncated = 0;   // words whose label position is beyond max_subwords
  int64_t over_limit = 0;  // sentences longer than max_subwords with [CLS] and [SEP]
  int64_t longest = 0;     // sub-words of the longest sentence
  int64_t cut = 0;         // labels that leave out a part of the tag, such as the sub-type of a relation
};

// A file that a split was made from.
struct SourceEntry {
  std::string path;  // relative to the manifest's root if it is inside it
  std::string sha256;
  std::string origin, licence;
  int64_t sentences = 0;  // sentences taken from it
};

struct SplitEntry {
  std::string name;  // train, dev, test
  SplitCounts counts;
  int64_t dropped = 0;   // train: sentences left out because they are also in a dev or test split (data.overlap=drop)
  bool limited = false;  // mlm train: cut at the default limit
  int64_t overlap = 0;   // dev, test: sentences that are also in any training data of the language
  std::map<std::string, int64_t> overlap_with;  // the same by pair name, its own train split included
  std::vector<SourceEntry> sources;
  std::vector<DatasetEntry> datasets;
};

struct PairEntry {
  Pair pair;
  std::string file;             // in the corpus folder
  int64_t bytes = 0;            // of the file
  std::string xxh128;           // of the whole file; empty: the corpus has an earlier format version
  bool trains_on_test = false;  // its `train` is the treebank's only split, test: must never be scored
  std::vector<SplitEntry> splits;

  const SplitEntry* find_split(const std::string& name) const;  // nullptr: none
};

// index.json: everything that is known of a corpus without opening its files.
struct CorpusIndex {
  std::string tokenizer_digest;
  int32_t vocabulary_size = 0, cls_id = 0, sep_id = 0, mask_id = 0;
  std::map<std::string, std::string> task_options;  // by CorpusOption::key
  std::string label_position = "first";             // "first" or "after-blank"; data.label_position
  // The sub-word that is only a blank, which is no part of a word if labels lie after it; -1: none is left out.
  int32_t blank_id = -1;
  std::string overlap;   // data.overlap
  int max_subwords = 0;  // data.max_subwords, used to count `truncated`; nothing is truncated in the files
  std::map<std::string, std::vector<std::string>> labels;  // by task
  std::vector<PairEntry> pairs;                            // in the manifest's order
  std::map<std::string, std::string> summaries;            // XXH128 of summary.tsv and summary.json, by file name

  std::string to_json() const;  // with a digest of itself
  // UserError (65) naming `path`: not JSON, another format version, not of the digest that it names, a field that is
  // missing or of the wrong kind, an impossible value.
  static CorpusIndex from_json(const std::string& text, const std::string& path);
};

// The corpus's tasks, with its labels and its multiword rule; the metric comes from `options`. UserError (65) naming
// `origin`: a task that this version does not know.
TaskSet tasks_of(const CorpusIndex& index, Sections options = {}, const std::string& origin = "the corpus");

}  // namespace hyperx::data

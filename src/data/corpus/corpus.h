#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "data/corpus/corpus_index.h"
#include "data/tasks/pair.h"

namespace hyperx::data {

// One split of a pair, as views into the mapped file. Nothing is truncated; [CLS] and [SEP] are not stored. The
// functions of a sentence throw UserError (65) where the offsets are damaged.
struct Split {
  std::string place;                         // file and split, for error messages
  std::span<const int32_t> token_ids;        // [sub-words]
  std::span<const int64_t> sentence_starts;  // [sentences + 1] into token_ids
  std::span<const int32_t> word_positions;   // [words] the word's first sub-word within its sentence; -1: none
  std::span<const int64_t> word_starts;      // [sentences + 1] into word_positions and labels; empty for mlm
  std::span<const LabelId> labels;           // [words]
  std::span<const uint8_t> seen;             // [sentences], dev and test: 1 = also in the training data of the language

  int64_t sentences() const { return static_cast<int64_t>(sentence_starts.size()) - 1; }
  bool labelled() const { return !word_starts.empty(); }
  int64_t length(int64_t sentence) const { return std::ssize(tokens_of(sentence)); }  // in sub-words
  std::span<const int32_t> tokens_of(int64_t sentence) const;
  std::span<const int32_t> word_positions_of(int64_t sentence) const;
  std::span<const LabelId> labels_of(int64_t sentence) const;
};

// A corpus that `hyperx prepare` wrote: an index and one file per pair (docs/file_formats.md). Opening reads only the
// index; a pair's file is mapped on first use, read-only and shared by the processes of a node. Several threads may use
// a corpus at once.
class Corpus {
 public:
  // UserError: 66 no such folder or index; 65 the index is damaged.
  static Corpus open(const std::string& folder);
  // The same from the text of the index, so that one rank reads it and sends it to all.
  static Corpus from_index(const std::string& folder, const std::string& index_text);
  Corpus(Corpus&&) noexcept;
  Corpus& operator=(Corpus&&) noexcept;
  ~Corpus();

  const CorpusIndex& index() const;
  const std::string& index_text() const;
  const std::string& digest() const;  // XXH128 of the index, which holds the digests of all files: identifies the data
  std::vector<Pair> pairs() const;
  std::vector<Pair> pairs_with(const std::string& split) const;
  bool has(const Pair& pair, const std::string& split) const;
  const PairEntry& entry(const Pair& pair) const;  // UserError (78): not in this corpus
  const TaskSet& tasks() const;

  // UserError: 78 no such pair or split, listing those that exist (for a pair that trains on its test split, also that
  // it is never scored); 66 the file is missing; 65 the file is not the one that the index describes (size, signature,
  // offset of an array). Reads almost nothing, however large the file is.
  const Split& split(const Pair& pair, const std::string& name) const;
  // Compares every byte of a pair's file with the digest of the file (of earlier format versions: of every array) and
  // checks the offsets. UserError (65) naming file and array.
  void verify(const Pair& pair) const;
  // The same of the two summaries. UserError (65, 66).
  void verify_summaries() const;
  // verify() before the first use of a split, unless it was already done; of earlier format versions it compares only
  // that split. Returns early when `stop` is requested.
  void verify_once(const Pair& pair, const std::string& split, const std::stop_token& stop = {}) const;

 private:
  struct State;
  explicit Corpus(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace hyperx::data

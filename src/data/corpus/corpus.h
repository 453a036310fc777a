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

// One split of a pair, lying in the mapped file. Nothing is truncated; [CLS] and [SEP] are not stored. The functions of
// a sentence throw UserError (65) where the arrays' order is damaged there.
struct Split {
  std::string place;                         // file and split, for errors
  std::span<const int32_t> token_ids;        // [sub-words]
  std::span<const int64_t> sentence_starts;  // [sentences + 1] into token_ids
  std::span<const int32_t> word_positions;   // [words] the word's first sub-word within its sentence; -1: it has none
  std::span<const int64_t> word_starts;      // [sentences + 1] into word_positions and labels; empty for mlm
  std::span<const int16_t> labels;           // [words]
  std::span<const uint8_t> seen;             // [sentences] of dev and test: 1 = stands in training data of the language

  int64_t sentences() const { return static_cast<int64_t>(sentence_starts.size()) - 1; }
  bool labelled() const { return !word_starts.empty(); }
  int64_t length(int64_t sentence) const { return std::ssize(tokens_of(sentence)); }  // sub-words
  std::span<const int32_t> tokens_of(int64_t sentence) const;
  std::span<const int32_t> word_positions_of(int64_t sentence) const;
  std::span<const int16_t> labels_of(int64_t sentence) const;
};

// What `hyperx prepare` wrote: an index and a file a pair (docs/file_formats.md). Opening reads the index alone; a
// pair's file is mapped, read-only and shared by the node's processes, when it is first asked for. May be used by
// several threads at once.
class Corpus {
 public:
  // UserError: 66 no such folder or index; 65 the index is damaged.
  static Corpus open(const std::string& folder);
  // The same from the index's text, so that one rank reads it and sends it to all.
  static Corpus from_index(const std::string& folder, const std::string& index_text);
  Corpus(Corpus&&) noexcept;
  Corpus& operator=(Corpus&&) noexcept;
  ~Corpus();

  const CorpusIndex& index() const;
  const std::string& index_text() const;
  const std::string& digest() const;  // XXH128 of the index, which holds the digests of all arrays: names the data
  std::vector<Pair> pairs() const;
  std::vector<Pair> pairs_with(const std::string& split) const;
  bool has(const Pair& pair, const std::string& split) const;
  const PairEntry& entry(const Pair& pair) const;  // UserError (78): not in this corpus
  const TaskSet& tasks() const;

  // UserError: 78 no such pair or split, with what there is (and, where the test split trains, that it is never
  // scored); 66 the file is missing; 65 it is not the one that the index describes (size, signature, place of an
  // array). Reads next to nothing, however large the file.
  const Split& split(const Pair& pair, const std::string& name) const;
  // Compares every array of a pair with its XXH128, and its order. UserError (65) naming file and array.
  void verify(const Pair& pair) const;
  // The same of one split, unless it has been done; leaves early when `stop` says so.
  void verify_once(const Pair& pair, const std::string& split, const std::stop_token& stop = {}) const;

 private:
  struct State;
  explicit Corpus(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace hyperx::data

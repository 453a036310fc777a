#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/tasks/pair.h"

namespace hyperx::data {

// What two sentences have in common if they are the same text: the forms joined, white space taken out (Unicode's), in
// NFC; 128 bits of a hash of that. Words and plain text compare equal although their spaces differ. Case and
// punctuation count. A treebank's multiword tokens count by their syntactic words, so a text with the surface form may
// go unnoticed.
struct SentenceKey {
  uint64_t high = 0, low = 0;
  auto operator<=>(const SentenceKey&) const = default;
};
SentenceKey sentence_key(std::span<const std::string_view> words);

// The sentences of one split, for find_overlaps.
struct OverlapSplit {
  Pair pair;
  bool trains = false;            // false: dev or test
  std::vector<SentenceKey> keys;  // [sentences]

  // Results.
  std::vector<uint8_t> found;  // [sentences] dev, test: stands in training data; train: stands in a dev or test split
  std::map<std::string, int64_t> against;  // dev, test: pair name -> sentences that stand in that pair's train split
  int64_t found_count() const;
};

// Compares every dev and test split with every train split among `splits`, which are those of one language.
void find_overlaps(std::vector<OverlapSplit*>& splits);

}  // namespace hyperx::data

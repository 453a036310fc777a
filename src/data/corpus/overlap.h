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

// Equal for two sentences with the same text: a 128-bit hash of the word forms, joined, in NFC and without (Unicode)
// white space. Words and plain text therefore compare equal although their spaces differ. Case and punctuation are
// significant. A treebank's multiword tokens enter as their syntactic words, so a text with the surface form may not be
// recognised.
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
  std::vector<uint8_t> found;  // [sentences] dev, test: is in training data; train: is in a dev or test split
  std::map<std::string, int64_t> against;  // dev, test: pair name -> sentences that are in that pair's train split
  int64_t found_count() const;
};

// Compares every dev and test split with every train split. All `splits` must be of one language.
void find_overlaps(std::vector<OverlapSplit*>& splits);

}  // namespace hyperx::data

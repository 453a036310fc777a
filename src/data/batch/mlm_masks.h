#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace hyperx::data {

constexpr double kMaskShare = 0.15;      // share of the sub-words that are chosen
constexpr double kMaskedOfChosen = 0.8;  // share of the chosen that become [MASK]
constexpr double kRandomOfChosen = 0.1;  // share of the chosen that become a random id; the rest stay

// Which sub-words of a sentence a masked language model has to predict: each independently with probability 0.15, as in
// the original's collator ([CLS] and [SEP] are never chosen, an [UNK] of the text may be). A pure function of (key,
// place), so every rank knows the masks of every sentence.
class MlmMasks {
 public:
  MlmMasks(int32_t mask_id, int32_t vocabulary_size) : mask_id_(mask_id), vocabulary_size_(vocabulary_size) {}

  // Key of the sentence at `place` of a mini-batch with this mask_key.
  static uint64_t sentence_key(uint64_t mask_key, int64_t place);
  static int64_t count(int64_t subwords, uint64_t key);
  // Replaces the chosen elements of `ids` (a sentence without [CLS] and [SEP]); appends their places to `chosen`,
  // ascending.
  void apply(std::span<int64_t> ids, uint64_t key, std::vector<int32_t>& chosen) const;

 private:
  int32_t mask_id_, vocabulary_size_;
};

}  // namespace hyperx::data

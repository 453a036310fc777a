#include "data/batch/mlm_masks.h"

#include "common/random.h"

namespace hyperx::data {

namespace {

// A share as a threshold for a uniform 32-bit number.
constexpr uint32_t threshold(double share) { return static_cast<uint32_t>(share * 4294967296.0); }

PhiloxCounter words_of(int64_t place, uint64_t key) {
  const auto number = static_cast<uint64_t>(place);
  return philox({static_cast<uint32_t>(number), static_cast<uint32_t>(number >> 32), 0, 0}, philox_key(key));
}

bool is_chosen(const PhiloxCounter& words) { return words[0] < threshold(kMaskShare); }

}  // namespace

uint64_t MlmMasks::sentence_key(uint64_t mask_key, int64_t place) {
  return derive_key(mask_key, "sentence", static_cast<uint64_t>(place));
}

int64_t MlmMasks::count(int64_t subwords, uint64_t key) {
  int64_t chosen = 0;
  for (int64_t place = 0; place < subwords; ++place) chosen += is_chosen(words_of(place, key)) ? 1 : 0;
  return chosen;
}

void MlmMasks::apply(std::span<int64_t> ids, uint64_t key, std::vector<int32_t>& chosen) const {
  for (size_t place = 0; place < ids.size(); ++place) {
    const PhiloxCounter words = words_of(static_cast<int64_t>(place), key);
    if (!is_chosen(words)) continue;
    chosen.push_back(static_cast<int32_t>(place));
    if (words[1] < threshold(kMaskedOfChosen)) {
      ids[place] = mask_id_;
    } else if (words[1] < threshold(kMaskedOfChosen + kRandomOfChosen)) {
      const auto size = static_cast<uint64_t>(vocabulary_size_);
      ids[place] = static_cast<int64_t>((words[2] * size) >> 32);
    }
  }
}

}  // namespace hyperx::data

#include "data/corpus/overlap.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "common/errors.h"
#include "common/random.h"

namespace hyperx::data {

namespace {

struct KeyHash {
  size_t operator()(const SentenceKey& key) const { return static_cast<size_t>(key.low); }
};

// Appends `word` without white space.
void append_dense(std::string_view word, std::string& text) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(word.data());
  const auto size = static_cast<int32_t>(word.size());
  for (int32_t at = 0; at < size;) {
    const int32_t begin = at;
    UChar32 c = 0;
    U8_NEXT(bytes, at, size, c);
    if (c >= 0 && u_isUWhiteSpace(c)) continue;
    text.append(word.substr(static_cast<size_t>(begin), static_cast<size_t>(at - begin)));
  }
}

const icu::Normalizer2& nfc() {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = icu::Normalizer2::getNFCInstance(status);
  HYPERX_CHECK(U_SUCCESS(status) != 0, "ICU has no NFC data");
  return *normalizer;
}

SentenceKey hash_of(std::string_view text) {
  uint64_t high = 0x6A09E667F3BCC908ULL;
  uint64_t low = 0xBB67AE8584CAA73BULL ^ text.size();
  for (size_t at = 0; at < text.size(); at += 8) {
    uint64_t word = 0;
    for (size_t k = 0; k < 8 && at + k < text.size(); ++k) {
      word |= static_cast<uint64_t>(static_cast<unsigned char>(text[at + k])) << (8 * k);
    }
    high = mix64(high ^ word);
    low = mix64(low + word * 0x9E3779B97F4A7C15ULL) ^ (high >> 7);
  }
  return {mix64(high ^ low), low};
}

}  // namespace

SentenceKey sentence_key(std::span<const std::string_view> words) {
  std::string text;
  for (const std::string_view word : words) append_dense(word, text);
  UErrorCode status = U_ZERO_ERROR;
  if (nfc().isNormalizedUTF8(text, status) != 0 && U_SUCCESS(status) != 0) return hash_of(text);
  std::string composed;
  status = U_ZERO_ERROR;
  icu::StringByteSink<std::string> sink(&composed);
  nfc().normalizeUTF8(0, text, sink, nullptr, status);
  HYPERX_CHECK(U_SUCCESS(status) != 0, "ICU cannot normalise a sentence");
  return hash_of(composed);
}

int64_t OverlapSplit::found_count() const { return std::count(found.begin(), found.end(), uint8_t{1}); }

void find_overlaps(std::vector<OverlapSplit*>& splits) {
  // Each dev or test sentence -> its places; a sentence may be in several splits.
  std::unordered_map<SentenceKey, std::vector<std::pair<OverlapSplit*, size_t>>, KeyHash> places;
  for (OverlapSplit* split : splits) {
    split->found.assign(split->keys.size(), 0);
    split->against.clear();
    if (split->trains) continue;
    for (size_t i = 0; i < split->keys.size(); ++i) places[split->keys[i]].emplace_back(split, i);
  }
  for (OverlapSplit* train : splits) {
    if (!train->trains) continue;
    std::unordered_set<const std::pair<OverlapSplit*, size_t>*> counted;  // a sentence counts once per train split
    for (size_t i = 0; i < train->keys.size(); ++i) {
      const auto found = places.find(train->keys[i]);
      if (found == places.end()) continue;
      train->found[i] = 1;
      for (const auto& place : found->second) {
        place.first->found[place.second] = 1;
        if (!counted.insert(&place).second) continue;
        ++place.first->against[train->pair.name()];
      }
    }
  }
}

}  // namespace hyperx::data

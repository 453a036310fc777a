#include "data/corpus/overlap.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <unordered_map>
#include <unordered_set>

#include "common/errors.h"
#include "common/random.h"
#include "data/tokenizer/utf8.h"

namespace hyperx::data {

namespace {

struct KeyHash {
  size_t operator()(const SentenceKey& key) const { return static_cast<size_t>(key.low); }
};

const utf8proc_uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<const utf8proc_uint8_t*>(text.data());
}

// Appends `word` without white space.
void append_dense(std::string_view word, std::string& text) {
  for (size_t at = 0; at < word.size();) {
    const size_t begin = at;
    if (!is_white_space(decode_utf8(word, at))) text.append(word.substr(begin, at - begin));
  }
}

// The canonical composition (NFC).
std::string composed(std::string text) {
  constexpr unsigned char kLeadOfU0300 = 0xCC;  // all code points before the combining marks are composed
  if (std::all_of(text.begin(), text.end(), [](unsigned char byte) { return byte < kLeadOfU0300; })) return text;
  utf8proc_uint8_t* bytes = nullptr;
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  const auto size = utf8proc_map(bytes_of(text), static_cast<utf8proc_ssize_t>(text.size()), &bytes, options);
  HYPERX_CHECK(size >= 0, std::string("cannot normalise a sentence: ") + utf8proc_errmsg(size));
  text.assign(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
  std::free(bytes);
  return text;
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
  return hash_of(composed(std::move(text)));
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

#include "data/tokenizer/unigram/normalization_map.h"

#include <utf8proc.h>

#include <cstring>
#include <stdexcept>

#include "data/tokenizer/utf8.h"

namespace hyperx::data {
namespace {

constexpr size_t kLongestCluster = 5;  // bytes

// Fields of a unit, as in Darts' double array: a label in the low byte, the offset to the children above, and whether a
// value ends here. The value itself is a unit of its own.
uint32_t label_of(uint32_t unit) { return unit & 0x800000FFU; }
bool has_value(uint32_t unit) { return (unit >> 8 & 1U) != 0; }
uint32_t offset_of(uint32_t unit) { return unit >> 10 << ((unit & 0x200U) >> 6); }
uint32_t value_of(uint32_t unit) { return unit & 0x7FFFFFFFU; }

}  // namespace

NormalizationMap::NormalizationMap(std::string_view bytes) {
  uint32_t trie_bytes = 0;
  if (bytes.size() < sizeof trie_bytes) throw std::runtime_error("is cut off");
  std::memcpy(&trie_bytes, bytes.data(), sizeof trie_bytes);
  bytes.remove_prefix(sizeof trie_bytes);
  if (trie_bytes == 0 || trie_bytes % sizeof(uint32_t) != 0 || trie_bytes > bytes.size())
    throw std::runtime_error("has a trie of " + std::to_string(trie_bytes) + " bytes, which " +
                             std::to_string(bytes.size()) + " bytes cannot hold");
  units_.resize(trie_bytes / sizeof(uint32_t));
  std::memcpy(units_.data(), bytes.data(), trie_bytes);
  texts_ = bytes.substr(trie_bytes);
  if (!texts_.empty() && texts_.back() != '\0') throw std::runtime_error("has a last text that does not end");
  check();
}

// Visits every node that some text can reach.
void NormalizationMap::check() const {
  std::vector<bool> seen(units_.size(), false);
  std::vector<uint32_t> waiting{0};
  while (!waiting.empty()) {
    const uint32_t node = waiting.back();
    waiting.pop_back();
    if (seen[node]) continue;
    seen[node] = true;
    const uint32_t children = node ^ offset_of(units_[node]);
    // A look-up reads the child of any byte before it compares the label.
    if ((children | 0xFFU) >= units_.size()) throw std::runtime_error("leads outside of its trie");
    if (has_value(units_[node]) && node != 0 && value_of(units_[children]) >= texts_.size())
      throw std::runtime_error("leads outside of its texts");
    for (uint32_t byte = 1; byte < 256; ++byte)
      if (label_of(units_[children ^ byte]) == byte) waiting.push_back(children ^ byte);
  }
}

std::optional<std::string_view> NormalizationMap::find(std::string_view chunk) const {
  uint32_t children = offset_of(units_[0]);
  for (const char c : chunk) {
    const auto byte = static_cast<unsigned char>(c);
    const uint32_t node = children ^ byte, unit = units_[node];
    if (byte == 0 || label_of(unit) != byte) return std::nullopt;
    children = node ^ offset_of(unit);
    if (has_value(unit)) return std::string_view(texts_.data() + value_of(units_[children]));
  }
  return std::nullopt;
}

void NormalizationMap::append_cluster(std::string_view cluster, std::string& text) const {
  if (cluster.size() <= kLongestCluster) {
    if (const auto found = find(cluster)) {
      text += *found;
      return;
    }
  }
  for (size_t at = 0; at < cluster.size();) {
    const size_t begin = at;
    decode_utf8(cluster, at);
    const std::string_view character = cluster.substr(begin, at - begin);
    text += find(character).value_or(character);
  }
}

std::string NormalizationMap::normalize(std::string_view text) const {
  if (units_.empty() || text.empty()) return std::string(text);
  std::string normal;
  normal.reserve(text.size());
  size_t begin = 0, at = 0;
  auto before = static_cast<utf8proc_int32_t>(decode_utf8(text, at));
  utf8proc_int32_t state = 0;
  while (at < text.size()) {
    size_t end = at;
    const auto next = static_cast<utf8proc_int32_t>(decode_utf8(text, end));
    if (utf8proc_grapheme_break_stateful(before, next, &state)) {
      append_cluster(text.substr(begin, at - begin), normal);
      begin = at;
    }
    before = next;
    at = end;
  }
  append_cluster(text.substr(begin), normal);
  return normal;
}

}  // namespace hyperx::data

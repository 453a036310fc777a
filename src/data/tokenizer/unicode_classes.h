#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "data/tokenizer/unicode_tables.h"

namespace hyperx::data {

// A table over all code points in pages of 256, with equal pages stored once: O(1) look-up in a few tens of kilobytes.
template <class Value>
class CodePointTable {
 public:
  static constexpr char32_t kEnd = 0x110000;

  explicit CodePointTable(Value fill) : pages_(kEnd >> 8, 0), values_(256, fill) {}
  // code_point < kEnd
  Value operator[](char32_t code_point) const {
    return values_[size_t{pages_[code_point >> 8]} << 8 | (code_point & 0xFF)];
  }
  void set(char32_t code_point, Value value) { values_[own_page(code_point >> 8) << 8 | (code_point & 0xFF)] = value; }
  // [first, last)
  void set_range(char32_t first, char32_t last, Value value) {
    int shared = -1;  // page shared by all whole pages of this value
    while (first < last) {
      if ((first & 0xFF) != 0 || last - first < 256) {
        set(first++, value);
        continue;
      }
      if (shared < 0) shared = add_page(value);
      pages_[first >> 8] = static_cast<uint16_t>(shared);
      first += 256;
    }
  }

 private:
  int add_page(Value fill) {
    values_.insert(values_.end(), 256, fill);
    owned_.push_back(false);
    return static_cast<int>(values_.size() / 256) - 1;
  }
  size_t own_page(char32_t page) {
    const size_t old = pages_[page];
    if (owned_[old]) return old;
    const auto fresh = static_cast<size_t>(add_page(Value{}));
    for (size_t i = 0; i < 256; ++i) values_[fresh << 8 | i] = values_[old << 8 | i];
    owned_[fresh] = true;
    pages_[page] = static_cast<uint16_t>(fresh);
    return fresh;
  }

  std::vector<uint16_t> pages_;
  std::vector<Value> values_;
  std::vector<bool> owned_ = {false};  // whether only one range of code points uses the page, so it may be changed
};

// The class of every code point, for splitting.
CodePointTable<CharacterClass> make_class_table(bool split_chinese_characters);

// The result of accent stripping (canonical decomposition, marks removed) and lower-casing for a code point.
class CharacterMap {
 public:
  CharacterMap(bool strip_accents, bool lower_case);

  // The code points that `code_point` becomes, possibly none. `scratch` holds them where they are not in a table.
  std::span<const char32_t> map(char32_t code_point, std::array<char32_t, 3>& scratch) const {
    const uint32_t entry = entries_[code_point];
    if (entry == 0) {
      scratch[0] = code_point;
      return {scratch.data(), 1};
    }
    if (entry == kHangul) return decompose_hangul(code_point, scratch);
    return {pool_.data() + (entry >> 3), entry & 7};
  }
  // Canonical combining class if not 0 and the mark stays; 0 otherwise, kBlocks for a removed mark that is a starter.
  uint8_t combining_class(char32_t code_point) const { return combining_[code_point]; }
  bool reorders() const { return strip_accents_; }

  static constexpr uint8_t kBlocks = 255;

 private:
  static constexpr uint32_t kHangul = ~uint32_t{0};
  static std::span<const char32_t> decompose_hangul(char32_t syllable, std::array<char32_t, 3>& scratch);
  void add(char32_t code_point, std::span<const char32_t> becomes);

  bool strip_accents_;
  CodePointTable<uint32_t> entries_{0};  // 0: unchanged; else offset into pool_ << 3 | length
  CodePointTable<uint8_t> combining_{0};
  std::vector<char32_t> pool_ = {0};  // offset 0 is no entry
};

}  // namespace hyperx::data

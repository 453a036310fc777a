#include "data/tokenizer/unicode_classes.h"

#include <algorithm>

namespace hyperx::data {
namespace {

constexpr char32_t kFirstSyllable = 0xAC00, kLastSyllable = 0xD7A3;

// Lower-casing without accent stripping: the runs, and the code points that become several.
class LowerCase {
 public:
  LowerCase() {
    for (const CaseRun& run : case_runs())
      for (char32_t c = run.first; c <= run.last; c += run.stride) delta_.set(c, run.delta);
  }
  char32_t operator()(char32_t c) const { return static_cast<char32_t>(static_cast<int32_t>(c) + delta_[c]); }

 private:
  CodePointTable<int32_t> delta_{0};
};

template <class Visit>
void for_each_entry(std::span<const char32_t> list, Visit&& visit) {
  while (!list.empty()) {
    visit(list[0], list.subspan(2, list[1]));
    list = list.subspan(2 + list[1]);
  }
}

}  // namespace

CodePointTable<CharacterClass> make_class_table(bool split_chinese_characters) {
  CodePointTable<CharacterClass> table(CharacterClass::kInside);
  const auto runs = class_runs();
  for (size_t i = 0; i < runs.size(); ++i) {
    const char32_t end = i + 1 < runs.size() ? runs[i + 1].first : CodePointTable<CharacterClass>::kEnd;
    const bool inside = runs[i].kind == CharacterClass::kIdeograph && !split_chinese_characters;
    table.set_range(runs[i].first, end, inside ? CharacterClass::kInside : runs[i].kind);
  }
  return table;
}

CharacterMap::CharacterMap(bool strip_accents, bool lower_case) : strip_accents_(strip_accents) {
  if (lower_case) {
    for (const CaseRun& run : case_runs())
      for (char32_t c = run.first; c <= run.last; c += run.stride)
        add(c, std::array{static_cast<char32_t>(static_cast<int32_t>(c) + run.delta)});
    for_each_entry(long_cases(), [&](char32_t c, std::span<const char32_t> becomes) { add(c, becomes); });
  }
  if (!strip_accents) return;
  const LowerCase lower;
  for_each_entry(decompositions(), [&](char32_t c, std::span<const char32_t> becomes) {
    std::vector<char32_t> parts(becomes.begin(), becomes.end());
    if (lower_case) std::transform(parts.begin(), parts.end(), parts.begin(), lower);
    add(c, parts);
  });
  entries_.set_range(kFirstSyllable, kLastSyllable + 1, kHangul);
  for (const MarkRun& run : removed_marks())
    for (char32_t c = run.first; c <= run.last; c += run.stride) {
      add(c, {});
      if (run.starter) combining_.set(c, kBlocks);
    }
  for (const CombiningMark& mark : kept_marks()) combining_.set(mark.code_point, mark.combining_class);
}

void CharacterMap::add(char32_t code_point, std::span<const char32_t> becomes) {
  entries_.set(code_point, static_cast<uint32_t>(pool_.size() << 3 | becomes.size()));
  pool_.insert(pool_.end(), becomes.begin(), becomes.end());
}

// The Unicode Standard, section 3.12: a syllable is (lead * 21 + vowel) * 28 + tail.
std::span<const char32_t> CharacterMap::decompose_hangul(char32_t syllable, std::array<char32_t, 3>& scratch) {
  constexpr char32_t kLead = 0x1100, kVowel = 0x1161, kTail = 0x11A7, kTails = 28, kVowels = 21;
  const char32_t index = syllable - kFirstSyllable;
  scratch = {kLead + index / (kVowels * kTails), kVowel + index / kTails % kVowels, kTail + index % kTails};
  return {scratch.data(), index % kTails == 0 ? size_t{2} : size_t{3}};
}

}  // namespace hyperx::data

#include "data/tokenizer/word_splitter.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "common/errors.h"
#include "data/tokenizer/unicode_classes.h"
#include "data/tokenizer/utf8.h"

namespace hyperx::data {
namespace {

struct Range {
  char32_t first, last;
};

// Scripts that join words without spaces and are not ideographic: Thai, Lao, Myanmar, Khmer, kana.
constexpr Range kUnspaced[] = {{0x0E00, 0x0E7F}, {0x0E80, 0x0EFF}, {0x1000, 0x109F},   {0x1780, 0x17FF},
                               {0x3040, 0x30FF}, {0x31F0, 0x31FF}, {0x1B000, 0x1B16F}, {0xFF66, 0xFF9F}};

// Characters that belong to the letter before them in the Asian scripts that `auto` and `chars` split: vowel signs,
// tones, joiners.
constexpr Range kMarks[] = {{0x0300, 0x036F}, {0x0E31, 0x0E31}, {0x0E33, 0x0E3A}, {0x0E47, 0x0E4E}, {0x0EB1, 0x0EB1},
                            {0x0EB3, 0x0EBC}, {0x0EC8, 0x0ECE}, {0x102B, 0x103E}, {0x1056, 0x1059}, {0x105E, 0x1060},
                            {0x1062, 0x1064}, {0x1067, 0x106D}, {0x1071, 0x1074}, {0x1082, 0x108D}, {0x108F, 0x108F},
                            {0x109A, 0x109D}, {0x17B4, 0x17D3}, {0x17DD, 0x17DD}, {0x3099, 0x309A}, {0x30FC, 0x30FC},
                            {0x200C, 0x200D}, {0xFE00, 0xFE0F}, {0xFF9E, 0xFF9F}};

bool in(const auto& ranges, char32_t c) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [c](const Range& range) { return c >= range.first && c <= range.last; });
}

// True if a word ends before `c` and another begins with it; `previous` is the class of the word's last character.
bool cuts(WordSplit how, char32_t c, CharacterClass kind, CharacterClass previous) {
  if (how == WordSplit::kSpace) return false;
  if (how == WordSplit::kChars) return !in(kMarks, c);
  const auto single = [](CharacterClass k) { return k == CharacterClass::kAlone || k == CharacterClass::kIdeograph; };
  if (single(kind) || single(previous)) return true;
  return how == WordSplit::kAuto && in(kUnspaced, c) && !in(kMarks, c);
}

}  // namespace

WordSplit parse_word_split(const std::string& name) {
  if (name == "auto") return WordSplit::kAuto;
  if (name == "space") return WordSplit::kSpace;
  if (name == "basic") return WordSplit::kBasic;
  if (name == "chars") return WordSplit::kChars;
  throw UserError(ExitCode::kUsage,
                  fmt::format("--words: unknown value '{}': auto, space, basic and chars are known", name));
}

void split_words(std::string_view line, WordSplit how, std::vector<std::string_view>& words) {
  static const CodePointTable<CharacterClass> classes = make_class_table(true);
  words.clear();
  size_t begin = 0;
  bool open = false, visible = false;  // a word has begun; it has characters that clean-up keeps
  CharacterClass previous = CharacterClass::kSpace;
  const auto close = [&](size_t end) {
    if (open && visible) words.push_back(line.substr(begin, end - begin));
    open = visible = false;
  };
  for (size_t at = 0; at < line.size();) {
    const size_t here = at;
    const char32_t c = decode_utf8(line, at);
    const CharacterClass kind = classes[c];
    if (kind == CharacterClass::kSpace) {
      close(here);
      continue;
    }
    if (kind == CharacterClass::kRemoved) {  // belongs to the surrounding word, and is not a word by itself
      if (!open) begin = here;
      if (!open) previous = kind;
      open = true;
      continue;
    }
    if (open && visible && cuts(how, c, kind, previous)) close(here);
    if (!open) begin = here;
    open = visible = true;
    previous = kind;
  }
  close(line.size());
}

}  // namespace hyperx::data

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hyperx::data {

// How plain text is split into words for tagging.
enum class WordSplit {
  kSpace,  // at white space
  kBasic,  // BERT's: at white space; every punctuation mark and every ideograph is a word
  kChars,  // every character that is not white space
  kAuto,  // as basic; in scripts that join words without spaces (kana, Thai, Lao, Khmer, Myanmar), each letter with its
          // marks
};

// "auto", "space", "basic", "chars"; UserError (64) for any other name.
WordSplit parse_word_split(const std::string& name);

// Views into `line`, in order. Only white space is lost and, for basic, characters between words that BERT's clean-up
// removes.
void split_words(std::string_view line, WordSplit how, std::vector<std::string_view>& words);

}  // namespace hyperx::data

#pragma once

#include <cstdint>
#include <span>

namespace hyperx::data {

// How BERT's clean-up and splitting treat a code point.
enum class CharacterClass : uint8_t {
  kInside,     // a letter of a word
  kRemoved,    // control and format characters, U+FFFD, private use, code points unassigned in the reference's Unicode
               // version
  kSpace,      // separates words
  kAlone,      // punctuation: a word of its own
  kIdeograph,  // a word of its own when Chinese characters are split, else part of a word
};

// Code points from `first` to just before the next run's.
struct ClassRun {
  char32_t first;
  CharacterClass kind;
};

// first, first + stride, ..., last: marks that accent stripping removes.
struct MarkRun {
  char32_t first, last, stride;
  bool starter;  // combining class 0: marks are not reordered across it
};

// A mark that is kept, with its combining class.
struct CombiningMark {
  char32_t code_point;
  uint8_t combining_class;
};

// first, first + stride, ..., last: the lower-case code point is that plus `delta`.
struct CaseRun {
  char32_t first, last, stride;
  int32_t delta;
};

// Sorted by code point. In the last two, each entry is: code point, number n, n code points.
std::span<const ClassRun> class_runs();
std::span<const MarkRun> removed_marks();
std::span<const CombiningMark> kept_marks();
std::span<const CaseRun> case_runs();
std::span<const char32_t> long_cases();
std::span<const char32_t> decompositions();  // canonical, without the removed marks; Hangul syllables are not included

}  // namespace hyperx::data

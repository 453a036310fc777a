#pragma once

#include <cstdint>
#include <span>

namespace hyperx::data {

// What BERT's clean-up and splitting do with a code point.
enum class CharacterClass : uint8_t {
  kInside,     // a letter of a word
  kRemoved,    // control and format characters, U+FFFD, private use, unassigned ones of the reference's Unicode version
  kSpace,      // separates words
  kAlone,      // punctuation: a word of its own
  kIdeograph,  // a word of its own when Chinese characters are split, else inside
};

// Code points from `first` up to the next run's.
struct ClassRun {
  char32_t first;
  CharacterClass kind;
};

// first, first + stride, ..., last: marks that accent stripping takes out.
struct MarkRun {
  char32_t first, last, stride;
  bool starter;  // combining class 0: marks are not reordered across it
};

// A mark that stays, with its combining class.
struct CombiningMark {
  char32_t code_point;
  uint8_t combining_class;
};

// first, first + stride, ..., last: the lower case is `delta` away.
struct CaseRun {
  char32_t first, last, stride;
  int32_t delta;
};

// Sorted by code point. The last two are lists of: code point, number n, n code points.
std::span<const ClassRun> class_runs();
std::span<const MarkRun> removed_marks();
std::span<const CombiningMark> kept_marks();
std::span<const CaseRun> case_runs();
std::span<const char32_t> long_cases();
std::span<const char32_t>
decompositions();  // canonical, without the marks that go; Hangul syllables are not among them

}  // namespace hyperx::data

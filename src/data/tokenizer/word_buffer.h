#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace hyperx::data {

// A normalised word under construction, in canonical order, without allocation. Of a word longer than BERT allows only
// its being too long is kept.
class WordBuffer {
 public:
  static constexpr size_t kLongestWord = 100;  // code points; a longer word is [UNK]

  void push_ascii(char c) {
    if (++code_points_ <= kLongestWord) bytes_[size_++] = c;
    end_run();
  }
  // `combining_class` 0: a starter.
  void push(char32_t code_point, uint8_t combining_class);
  // No later mark is sorted before this place.
  void end_run() {
    run_begin_ = size_;
    if (!run_.empty()) run_.clear();
  }
  void clear() {
    size_ = code_points_ = 0;
    end_run();
  }
  bool empty() const { return code_points_ == 0; }
  bool too_long() const { return code_points_ > kLongestWord; }
  std::string_view view() const { return {bytes_, size_}; }

 private:
  void append(char32_t code_point);

  char bytes_[kLongestWord * 4];
  size_t size_ = 0;
  size_t code_points_ = 0;
  size_t run_begin_ = 0;                           // where the marks after the last starter begin
  std::vector<std::pair<uint8_t, char32_t>> run_;  // those marks: class, code point (rare: most marks are stripped)
};

}  // namespace hyperx::data

#include "data/tokenizer/word_buffer.h"

#include <algorithm>

namespace hyperx::data {

void WordBuffer::append(char32_t code_point) {
  const auto put = [&](char32_t byte) { bytes_[size_++] = static_cast<char>(byte); };
  if (code_point >= 0x10000) {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
  } else if (code_point >= 0x800) {
    put(0xE0 | code_point >> 12);
  }
  if (code_point >= 0x800) put(0x80 | (code_point >> 6 & 0x3F));
  if (code_point < 0x80) {
    put(code_point);
    return;
  }
  if (code_point < 0x800) put(0xC0 | code_point >> 6);
  put(0x80 | (code_point & 0x3F));
}

void WordBuffer::push(char32_t code_point, uint8_t combining_class) {
  if (++code_points_ > kLongestWord) return;
  if (combining_class == 0) {
    append(code_point);
    end_run();
    return;
  }
  const auto place = std::upper_bound(run_.begin(), run_.end(), combining_class,
                                      [](uint8_t mine, const auto& other) { return mine < other.first; });
  const bool last = place == run_.end();
  run_.insert(place, {combining_class, code_point});
  if (last) {
    append(code_point);
    return;
  }
  size_ = run_begin_;
  for (const auto& mark : run_) append(mark.second);
}

}  // namespace hyperx::data

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hyperx::data {

constexpr char32_t kReplacementCharacter = 0xFFFD;

// Returns the code point at text[position] (position < text.size()) and moves `position` past it. A byte that begins no
// valid sequence (overlong, surrogate, beyond U+10FFFF, cut off) gives U+FFFD and is skipped by itself, so any bytes
// can be decoded.
char32_t decode_utf8(std::string_view text, size_t& position);

// `text` without byte order marks at its beginning: a file that was saved twice may have two. Blanks may stand before a
// mark, and go with it.
std::string_view without_byte_order_mark(std::string_view text);

void append_utf8(char32_t code_point, std::string& text);

bool is_white_space(char32_t code_point);  // Unicode's property White_Space

// Offset of the first byte that is not part of valid UTF-8, or npos.
size_t find_invalid_utf8(std::string_view text);

// Number of code points; an invalid byte counts as one.
size_t count_code_points(std::string_view text);

}  // namespace hyperx::data

#include "common/short_values.h"

#include <algorithm>

namespace hyperx {
namespace {

constexpr size_t kValueBytes = 200, kWordBytes = 1000, kMessageBytes = 4000;
constexpr std::string_view kLeftOut = "...";

bool is_inside_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

std::string_view beginning(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && is_inside_character(text[bytes])) --bytes;
  return text.substr(0, bytes);
}

std::string_view end_of(std::string_view text, size_t bytes) {
  text.remove_prefix(text.size() - std::min(bytes, text.size()));
  while (!text.empty() && is_inside_character(text.front())) text.remove_prefix(1);
  return text;
}

// Where the quoted value ends that begins at `text`: at an apostrophe that no letter follows. npos: nowhere.
size_t value_end(std::string_view text) {
  for (size_t at = text.find('\''); at != std::string_view::npos; at = text.find('\'', at + 1))
    if (at + 1 == text.size() || std::string_view(" ,;:.)]}|\n").find(text[at + 1]) != std::string_view::npos)
      return at;
  return std::string_view::npos;
}

}  // namespace

std::string with_short_values(std::string_view message) {
  std::string result;
  const auto take = [&](size_t length, size_t most) {
    result += beginning(message.substr(0, length), length > most ? kValueBytes : length);
    if (length > most) result += kLeftOut;
    message.remove_prefix(length);
  };
  while (!message.empty()) {
    const bool opens = message[0] == '\'' &&
                       (result.empty() || std::string_view(" (=[{|\n").find(result.back()) != std::string_view::npos);
    const size_t end = opens ? value_end(message.substr(1)) : std::string_view::npos;
    if (end != std::string_view::npos) {
      take(1, 1);
      take(end, kValueBytes);
      take(1, 1);
    } else {
      take(std::max<size_t>(std::min(message.find_first_of(" \n'"), message.size()), 1), kWordBytes);
    }
  }
  if (result.size() <= kMessageBytes) return result;
  return std::string(beginning(result, kMessageBytes / 2)) + " " + std::string(kLeftOut) + " " +
         std::string(end_of(result, kMessageBytes / 2));
}

}  // namespace hyperx

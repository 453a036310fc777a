#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace hyperx::data {

// Messages in the wire format of Protocol Buffers, as far as a SentencePiece model needs it.
class ProtoWriter {
 public:
  ProtoWriter& integer(int field, uint64_t value);
  ProtoWriter& number(int field, float value);
  ProtoWriter& bytes(int field, std::string_view value);  // a text, or a message within
  const std::string& text() const { return text_; }

 private:
  void varint(uint64_t value);
  std::string text_;
};

// One field of a message: `value` of integers, the bits of numbers; `bytes` of texts and messages, a view of the input.
struct ProtoField {
  int number = 0;
  uint64_t value = 0;
  std::string_view bytes;
};

// Calls `visit` for each field in order. Throws std::runtime_error where the message is cut off or holds what is none.
void read_proto(std::string_view message, const std::function<void(const ProtoField&)>& visit);

}  // namespace hyperx::data

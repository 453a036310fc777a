#include "data/tokenizer/unigram/proto_bytes.h"

#include <bit>
#include <cstring>
#include <stdexcept>

namespace hyperx::data {
namespace {

enum Wire : uint64_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

[[noreturn]] void cut_off() { throw std::runtime_error("is cut off or is no SentencePiece model"); }

uint64_t take_varint(std::string_view& message) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (message.empty()) cut_off();
    const auto byte = static_cast<unsigned char>(message.front());
    message.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7FU) << shift;
    if (byte < 0x80) return value;
  }
  cut_off();
}

std::string_view take(std::string_view& message, uint64_t size) {
  if (size > message.size()) cut_off();
  const std::string_view bytes = message.substr(0, size);
  message.remove_prefix(size);
  return bytes;
}

uint64_t take_fixed(std::string_view& message, uint64_t size) {
  uint64_t value = 0;
  std::memcpy(&value, take(message, size).data(), size);
  return value;
}

}  // namespace

void ProtoWriter::varint(uint64_t value) {
  for (; value >= 0x80; value >>= 7) text_ += static_cast<char>(value | 0x80);
  text_ += static_cast<char>(value);
}

ProtoWriter& ProtoWriter::integer(int field, uint64_t value) {
  varint(static_cast<uint64_t>(field) << 3 | kVarint);
  varint(value);
  return *this;
}

ProtoWriter& ProtoWriter::number(int field, float value) {
  varint(static_cast<uint64_t>(field) << 3 | kFixed32);
  const auto bits = std::bit_cast<uint32_t>(value);
  text_.append(reinterpret_cast<const char*>(&bits), sizeof bits);
  return *this;
}

ProtoWriter& ProtoWriter::bytes(int field, std::string_view value) {
  varint(static_cast<uint64_t>(field) << 3 | kBytes);
  varint(value.size());
  text_ += value;
  return *this;
}

void read_proto(std::string_view message, const std::function<void(const ProtoField&)>& visit) {
  while (!message.empty()) {
    const uint64_t key = take_varint(message);
    ProtoField field;
    field.number = static_cast<int>(key >> 3 & 0x1FFFFFFFU);
    switch (key & 7U) {
      case kVarint:
        field.value = take_varint(message);
        break;
      case kFixed64:
        field.value = take_fixed(message, 8);
        break;
      case kFixed32:
        field.value = take_fixed(message, 4);
        break;
      case kBytes:
        field.bytes = take(message, take_varint(message));
        break;
      default:
        cut_off();
    }
    visit(field);
  }
}

}  // namespace hyperx::data

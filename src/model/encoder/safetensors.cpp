#include "model/encoder/safetensors.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

#include "common/errors.h"
#include "common/json.h"

namespace hyperx::model {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kMostDimensions = 16;

[[noreturn]] void bad(const std::string& path, const std::string& what) {
  throw UserError(ExitCode::kBadData,
                  path + ": not a whole safetensors file: " + what + ". Fetch or convert the file again");
}

at::ScalarType type_of(const std::string& name, const std::string& path, const std::string& tensor) {
  static const std::map<std::string, at::ScalarType> kTypes = {
      {"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf}, {"BF16", at::kBFloat16}, {"I64", at::kLong},
      {"I32", at::kInt},    {"I16", at::kShort}, {"I8", at::kChar},  {"U8", at::kByte},       {"BOOL", at::kBool}};
  const auto it = kTypes.find(name);
  if (it == kTypes.end()) bad(path, "tensor '" + tensor + "' has the unknown type '" + name + "'");
  return it->second;
}

uint64_t byte_count(const std::vector<int64_t>& shape, at::ScalarType type, const std::string& path,
                    const std::string& name) {
  if (shape.size() > kMostDimensions)
    bad(path, "tensor '" + name + "' has " + std::to_string(shape.size()) + " dimensions");
  int64_t bytes = static_cast<int64_t>(c10::elementSize(type));
  bool empty = false;
  for (const int64_t size : shape) {
    if (size < 0) bad(path, "tensor '" + name + "' has a negative size");
    empty = empty || size == 0;
    if (__builtin_mul_overflow(bytes, std::max<int64_t>(size, 1), &bytes))  // LibTorch's strides need it of empty ones
      bad(path, "tensor '" + name + "' is larger than any memory");
  }
  return empty ? 0 : static_cast<uint64_t>(bytes);
}

}  // namespace

Safetensors::Safetensors(const std::string& path) : path_(path), file_(std::make_shared<MappedFile>(path)) {
  uint64_t header_bytes = 0;
  if (file_->size() < sizeof header_bytes) bad(path, "it has " + std::to_string(file_->size()) + " bytes");
  std::memcpy(&header_bytes, file_->data(), sizeof header_bytes);
  if (header_bytes > kMaxHeaderBytes || header_bytes > file_->size() - sizeof header_bytes)
    bad(path, "its header would be " + std::to_string(header_bytes) + " bytes long");
  const std::string place = path + ": its header";
  const nlohmann::json header = parse_json({file_->data() + sizeof header_bytes, header_bytes}, place);
  if (!header.is_object()) bad(path, "its header is not a JSON object");
  buffer_ = file_->data() + sizeof header_bytes + header_bytes;
  const uint64_t buffer_bytes = file_->size() - sizeof header_bytes - header_bytes;

  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const auto& [name, value] : JsonValue(place, header).fields()) {
    if (name == "__metadata__") continue;
    const std::vector<int64_t> offsets = value["data_offsets"].integers();
    if (offsets.size() != 2) value["data_offsets"].fail("are not two offsets");
    Entry entry{type_of(value["dtype"].text(), path, name), value["shape"].integers(),
                static_cast<uint64_t>(offsets[0]), static_cast<uint64_t>(offsets[1])};
    if (entry.end < entry.begin || entry.end > buffer_bytes)
      bad(path, "tensor '" + name + "' lies outside the file (truncated?)");
    if (byte_count(entry.shape, entry.type, path, name) != entry.end - entry.begin)
      bad(path, "tensor '" + name + "' has a shape that does not fit its bytes");
    ranges.emplace_back(entry.begin, entry.end);
    entries_.emplace(name, std::move(entry));
  }
  std::sort(ranges.begin(), ranges.end());
  uint64_t covered = 0;
  for (const auto& [begin, end] : ranges) {
    if (begin != covered) bad(path, "its tensors overlap or leave a hole at byte " + std::to_string(covered));
    covered = end;
  }
  if (covered != buffer_bytes) bad(path, "it has bytes that belong to no tensor");
}

std::vector<std::string> Safetensors::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

const Safetensors::Entry& Safetensors::entry(const std::string& name) const {
  const auto it = entries_.find(name);
  if (it == entries_.end()) throw UserError(ExitCode::kBadData, path_ + ": has no tensor '" + name + "'");
  return it->second;
}

std::vector<int64_t> Safetensors::shape(const std::string& name) const { return entry(name).shape; }

at::Tensor Safetensors::tensor(const std::string& name) const {
  const Entry& found = entry(name);
  char* const data = const_cast<char*>(buffer_ + found.begin);
  const at::TensorOptions options = at::TensorOptions().dtype(found.type);
  if (found.begin == found.end) return at::empty(found.shape, options);
  const bool aligned = reinterpret_cast<uintptr_t>(data) % c10::elementSize(found.type) == 0;
  if (!aligned) {
    at::Tensor copy = at::empty(found.shape, options);
    std::memcpy(copy.data_ptr(), data, found.end - found.begin);
    return copy;
  }
  return at::from_blob(
      data, found.shape, [keep_alive = file_](void*) {}, options);
}

}  // namespace hyperx::model

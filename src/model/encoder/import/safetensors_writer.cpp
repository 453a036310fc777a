#include "model/encoder/import/safetensors_writer.h"

#include <nlohmann/json.hpp>

#include "common/errors.h"
#include "model/encoder/import/small_floats.h"

namespace hyperx::model {
namespace {

constexpr size_t kAlignment = 64;  // of the first value, so that the tensors can be used where the file is mapped

int64_t size_of(WeightType type) { return type == WeightType::kFloat32 ? 4 : 2; }

template <class T>
std::string_view bytes_of(std::span<T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::string& path, const TensorShapes& shapes, WeightType type)
    : file_(path), type_(type) {
  nlohmann::ordered_json header;
  header["__metadata__"] = {{"format", "pt"}};  // transformers refuses a file without it
  int64_t end = 0;
  for (const auto& [name, shape] : shapes) {
    const int64_t begin = end;
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    missing_ += count;
    end += count * size_of(type);
    header[name] = {
        {"dtype", type == WeightType::kFloat32 ? "F32" : "BF16"}, {"shape", shape}, {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump();
  uint64_t length = 0;
  text.resize((sizeof length + text.size() + kAlignment - 1) / kAlignment * kAlignment - sizeof length, ' ');
  length = text.size();
  file_.write(bytes_of(std::span(&length, 1)));
  file_.write(text);
  bytes_ = static_cast<int64_t>(sizeof length + text.size()) + end;
}

bool SafetensorsWriter::add(std::span<const float> values) {
  missing_ -= static_cast<int64_t>(values.size());
  HYPERX_CHECK(missing_ >= 0, "more values than the tensors have");
  if (type_ == WeightType::kFloat32) {
    file_.write(bytes_of(values));
    return true;
  }
  rounded_.resize(values.size());
  bool all_finite = true;
  for (size_t i = 0; i < values.size(); ++i) {
    rounded_[i] = float_to_bfloat16(values[i]);
    all_finite = all_finite && is_finite_bfloat16(rounded_[i]);
  }
  file_.write(bytes_of(std::span(rounded_)));
  return all_finite;
}

void SafetensorsWriter::finish() {
  HYPERX_CHECK(missing_ == 0, "fewer values than the tensors have");
  file_.finish();
}

}  // namespace hyperx::model

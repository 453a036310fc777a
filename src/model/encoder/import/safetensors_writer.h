#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/files.h"
#include "model/encoder/encoder_spec.h"

namespace hyperx::model {

enum class WeightType { kFloat32, kBFloat16 };

// Writes a safetensors file of tensors of one type, value by value, so that it needs little memory.
class SafetensorsWriter {
 public:
  // Writes the header. SystemError (73, 74), here and below, as OutputFile.
  SafetensorsWriter(const std::string& path, const TensorShapes& shapes, WeightType type);
  // The next values, in the order of the shapes, which must be finite. Float32 values are rounded to the type, to
  // nearest, ties to even. Returns false, with the file useless, if one of them is too large for the type.
  bool add(std::span<const float> values);
  void finish();                            // syncs and closes the file. All values must have been added.
  int64_t bytes() const { return bytes_; }  // length of the whole file

 private:
  OutputFile file_;
  const WeightType type_;
  int64_t missing_ = 0;  // values that have not been added
  int64_t bytes_ = 0;
  std::vector<uint16_t> rounded_;
};

}  // namespace hyperx::model

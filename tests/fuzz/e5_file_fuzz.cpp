#include "model/encoder/import/e5_file.h"
#include "tests/fuzz/fuzz.h"

// A file of `hyperx import encoder`, with the values of all its tensors.
void hyperx::fuzz::parse(std::string_view input) {
  const std::string bytes(input);
  const model::E5File file(bytes, "input.bin");
  for (const std::string_view piece : file.pieces()) touch(piece);
  for (const auto& [name, shape] : model::encoder_tensor_shapes(file.spec()))
    file.read(name, [](std::span<const float> values) {
      touch({reinterpret_cast<const char*>(values.data()), values.size_bytes()});
    });
}

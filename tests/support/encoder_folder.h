#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>

#include "tests/support/folder.h"

namespace hyperx::test {

using Tensors = std::map<std::string, at::Tensor>;

// Writes tensors as safetensors; `header` may be replaced to make faults.
inline void write_safetensors(const std::string& path, const Tensors& tensors, const std::string& header = "") {
  std::string text = "{", bytes;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor values = tensor.to(at::kFloat).contiguous();
    if (text.size() > 1) text += ',';
    text += "\"" + name + "\":{\"dtype\":\"F32\",\"shape\":[";
    for (int64_t d = 0; d < values.dim(); ++d) {
      if (d > 0) text += ',';
      text += std::to_string(values.size(d));
    }
    text += "],\"data_offsets\":[" + std::to_string(bytes.size()) + ",";
    bytes.append(static_cast<const char*>(values.const_data_ptr()), values.nbytes());
    text += std::to_string(bytes.size()) + "]}";
  }
  text += "}";
  if (!header.empty()) text = header;
  const uint64_t size = text.size();
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&size), sizeof size);
  file << text << bytes;
}

// A folder for an encoder, of this test's own and removed with it.
class EncoderFolder {
 public:
  std::string path() const { return folder_.path(); }
  // `more` follows the sizes: `"key":value,...`.
  void write_config(const std::string& more) const {
    std::ofstream(path() + "/config.json")
        << R"({"hidden_size":8,"num_hidden_layers":2,"num_attention_heads":2,"intermediate_size":16,"vocab_size":10,)"
        << more << "}";
  }
  void write_weights(const Tensors& tensors) const { write_safetensors(path() + "/model.safetensors", tensors); }

 private:
  TemporaryFolder folder_;
};

}  // namespace hyperx::test

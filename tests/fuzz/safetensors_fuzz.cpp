#include <ATen/core/Tensor.h>

#include "model/encoder/safetensors.h"
#include "tests/fuzz/fuzz.h"

// A safetensors file, with the values of all its tensors.
void hyperx::fuzz::parse(std::string_view input) {
  const model::Safetensors file(write("model.safetensors", input));
  for (const std::string& name : file.names()) {
    const at::Tensor tensor = file.tensor(name);
    touch({static_cast<const char*>(tensor.data_ptr()), tensor.nbytes()});
  }
}

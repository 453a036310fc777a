#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/digest.h"
#include "model/encoder/encoder_spec.h"

namespace hyperx::model {

// The encoder's tensors as read, under the names of encoder_tensor_shapes().
struct EncoderWeights {
  EncoderSpec spec;
  std::map<std::string, at::Tensor> tensors;
  std::map<std::string, at::Tensor> mlm_head;  // named as in mlm_head_shapes(); empty where the file has none
  std::string source;                          // folder, or "random:FOLDER"
  FutureDigest digest;  // SHA-256 of the weights file, or of spec and seed where the weights are random
};

// `source` is model.encoder: a folder with config.json and model.safetensors (or a pytorch_model.bin that LibTorch can
// read), or random:FOLDER for that configuration with weights N(0, 0.02²) drawn from `seed`. Strict: a missing, extra
// or misshapen tensor, and one that holds nan or inf, is a UserError (65) that lists names. The row of `families` for
// config.json's model_type says how the tensors are named in a file, and which of them are not part of the encoder.
// fp32 tensors view the mapped file. The digest takes longer than all the rest: a thread computes it, or, if deferred,
// its first reader. `layers` is model.encoder_layers, as in read_encoder_spec.
EncoderWeights load_encoder(const std::string& source, uint64_t seed, int64_t layers = 0,
                            std::launch digest = std::launch::async,
                            const std::vector<EncoderFamily>& families = encoder_families());

// Checks names and shapes as load_encoder does. `found` has the names used in a weights file of spec.family.
EncoderWeights sort_encoder_tensors(const EncoderSpec& spec, const std::map<std::string, at::Tensor>& found,
                                    const std::string& path);

}  // namespace hyperx::model

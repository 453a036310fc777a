#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/digest.h"
#include "model/encoder/encoder_spec.h"

namespace hyperx::model {

// The encoder's tensors as read, under Hugging Face's names without the prefix "bert.":
// "embeddings.word_embeddings.weight", "encoder.layer.0.attention.self.query.weight", ...
struct EncoderWeights {
  EncoderSpec spec;
  std::map<std::string, at::Tensor> tensors;
  std::map<std::string, at::Tensor> mlm_head;  // "transform.dense.weight", ..., "bias"; empty where the file has none
  std::string source;                          // folder, or "random:FOLDER"
  FutureDigest digest;                         // SHA-256 of the weights' file; of spec and seed where they are drawn
};

// `source` is model.encoder: a folder with config.json and model.safetensors (or a pytorch_model.bin that LibTorch can
// read), or random:FOLDER for that configuration with weights N(0, 0.02²) drawn from `seed`. Strict: a missing, extra
// or misshapen tensor is a UserError (65) that lists names; LayerNorm.gamma/beta of old files are taken as weight/bias;
// what belongs to BERT but not to the encoder (pooler, next-sentence head, position ids) is left out. fp32 tensors view
// the mapped file. Its digest takes longer than all else here: a thread computes it, or, deferred, whoever first asks.
EncoderWeights load_encoder(const std::string& source, uint64_t seed, std::launch digest = std::launch::async);

// Every tensor of an encoder of these sizes, with its shape.
std::vector<std::pair<std::string, std::vector<int64_t>>> encoder_tensor_shapes(const EncoderSpec& spec);

// Checks names and shapes as load_encoder does. `found` may carry the prefix "bert." and a MLM head.
EncoderWeights sort_encoder_tensors(const EncoderSpec& spec, const std::map<std::string, at::Tensor>& found,
                                    const std::string& path);

}  // namespace hyperx::model

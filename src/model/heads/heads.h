#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "data/tasks/pair.h"
#include "model/encoder/encoder_weights.h"
#include "model/ops/cpu/dropout.h"
#include "model/parameters/parameters.h"

namespace hyperx::model {

// The task heads (SPEC.md section 2). Parameters of task t form the group "heads.t".
class Heads {
 public:
  // `trained_decoder`: the MLM decoder is a trained copy of the word embedding (the release when mlm is not its first
  // task).
  Heads(const std::vector<data::TaskInfo>& tasks, const EncoderWeights& encoder, bool trained_decoder, uint64_t seed,
        at::ScalarType master, at::Device device, ParameterSet& parameters);

  // Scores of labelled rows. rows [labels, hidden] in the compute type; dropout of tagging heads' rows; word_embeddings
  // [vocabulary, hidden]. Returns [labels, classes] fp32 (fp64 in tests).
  at::Tensor logits(const std::string& task, const at::Tensor& rows, const SiteDropout& dropout,
                    const at::Tensor& word_embeddings) const;

 private:
  struct Tagger {
    at::Tensor weight, bias;  // [classes, hidden], [classes]
  };
  struct MaskedLm {
    at::Tensor transform_weight, transform_bias, norm_weight, norm_bias, bias;
    at::Tensor decoder;  // defined where trained
  };
  std::map<std::string, Tagger> taggers_;
  std::map<std::string, MaskedLm> masked_;
  double norm_eps_;
};

}  // namespace hyperx::model

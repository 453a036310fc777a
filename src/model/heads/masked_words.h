#pragma once

#include "model/heads/head.h"

namespace hyperx::model {

// BERT's head for masked sub-words: a linear layer, GELU and LayerNorm, then a decoder of the vocabulary's size. The
// decoder is the encoder's word embeddings (tied), or, with model.mlm_decoder = trained, a trained copy of them (as in
// the release when mlm is not its first task).
class MaskedWordsHead : public Head {
 public:
  explicit MaskedWordsHead(const HeadContext& context);
  at::Tensor logits(const HeadInput& input) const override;

 private:
  at::Tensor decoder() const;  // [vocabulary, hidden]

  const Encoder& encoder_;
  at::Tensor transform_weight_, transform_bias_, bias_;
  NormParameters norm_;
  at::Tensor trained_decoder_;         // undefined: tied
  mutable at::Tensor frozen_decoder_;  // tied to frozen embeddings: these in the compute type, made on first use
};

}  // namespace hyperx::model

#include "model/heads/masked_words.h"

#include <ATen/ATen.h>

namespace hyperx::model {

MaskedWordsHead::MaskedWordsHead(const HeadContext& context) : encoder_(context.encoder) {
  const EncoderSpec& spec = context.weights.spec;
  // From the encoder's own file, or `fallback` if that has no head.
  const auto from_file = [&](const std::string& name, const auto& fallback) {
    const auto found = context.weights.mlm_head.find(name);
    return context.add(name, found == context.weights.mlm_head.end() ? fallback() : found->second);
  };
  const auto zeros = [&](int64_t size) { return [&context, size] { return at::zeros({size}, context.options()); }; };
  transform_weight_ = from_file("transform.dense.weight", [&] {
    return context.draw("transform.dense.weight", {spec.hidden, spec.hidden});
  });
  transform_bias_ = from_file("transform.dense.bias", zeros(spec.hidden));
  norm_.weight = from_file("transform.LayerNorm.weight", [&] { return at::ones({spec.hidden}, context.options()); });
  norm_.bias = from_file("transform.LayerNorm.bias", zeros(spec.hidden));
  norm_.epsilon = spec.layer_norm_eps;
  bias_ = from_file("bias", zeros(spec.vocabulary));
  if (context.config.model.mlm_decoder == "trained")
    trained_decoder_ = context.add("decoder.weight", context.weights.tensors.at("embeddings.word_embeddings.weight"));
}

at::Tensor MaskedWordsHead::decoder() const {
  if (trained_decoder_.defined()) return trained_decoder_;
  const at::Tensor& embeddings = encoder_.word_embeddings();
  // A copy of trained embeddings would be outdated after the next update, and would hide their gradient.
  if (embeddings.requires_grad()) return embeddings.to(encoder_.compute_type());
  if (!frozen_decoder_.defined()) frozen_decoder_ = embeddings.to(encoder_.compute_type());
  return frozen_decoder_;
}

at::Tensor MaskedWordsHead::logits(const HeadInput& input) const {
  const at::ScalarType wide = bias_.scalar_type();
  const at::Tensor transformed = input.method.before_decoder(
      input.pair, layer_norm(at::gelu(at::linear(input.rows.to(wide), transform_weight_, transform_bias_)),
                             norm_.weight, norm_.bias, norm_.epsilon));
  const at::Tensor weight = decoder();
  return at::linear(transformed.to(weight.scalar_type()), weight).to(wide) + bias_;
}

std::unique_ptr<Head> make_masked_words(const HeadContext& context) {
  return std::make_unique<MaskedWordsHead>(context);
}

}  // namespace hyperx::model

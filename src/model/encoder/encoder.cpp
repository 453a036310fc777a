#include "model/encoder/encoder.h"

#include <ATen/ATen.h>

#include "common/errors.h"
#include "model/ops/cpu/activation.h"
#include "model/ops/cpu/attention.h"
#include "model/ops/cuda/cuda_ops.h"
#include "model/ops/own_kernels.h"

namespace hyperx::model {
namespace {

SiteDropout dropout_at(int64_t site, const EncoderInput& input, double probability, const DropoutStream& dropout) {
  if (!dropout.active || probability == 0) return {input.row_keys};
  return {input.row_keys, probability, dropout.key(site)};
}

}  // namespace

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double epsilon) {
  const std::vector<int64_t> shape{weight.numel()};
  if (x.is_cpu() || x.scalar_type() == weight.scalar_type()) return at::layer_norm(x, shape, weight, bias, epsilon);
  return at::layer_norm(x.to(weight.scalar_type()), shape, weight, bias, epsilon).to(x.scalar_type());
}

Encoder::Encoder(const EncoderWeights& weights, ParameterSet& parameters, EncoderTraining trains,
                 at::ScalarType compute, at::Device device)
    : spec_(weights.spec), compute_(compute) {
  const at::ScalarType master = compute == at::kDouble ? at::kDouble : at::kFloat;
  const bool train_all = trains == EncoderTraining::kAll;
  const auto tensor = [&](const std::string& name, bool trained, const char* group, at::ScalarType type) {
    const at::Tensor& given = weights.tensors.at(name);
    return trained ? parameters.add("encoder." + name, group, given.to(device, master)).value : given.to(device, type);
  };
  const auto frozen_or_trained = [&](const std::string& name, at::ScalarType type) {
    return tensor(name, train_all, "encoder", type);
  };
  const auto norm_at = [&](const std::string& prefix) {
    const auto part = [&](const char* name) {
      return tensor(prefix + name, trains != EncoderTraining::kNothing, "layer_norms", master);
    };
    return NormParameters{part(".weight"), part(".bias"), spec_.layer_norm_eps};
  };
  const auto linear_at = [&](const std::string& prefix) {
    return Linear(frozen_or_trained(prefix + ".weight", compute), frozen_or_trained(prefix + ".bias", compute),
                  compute);
  };

  word_embeddings_ = frozen_or_trained("embeddings.word_embeddings.weight", master);
  position_embeddings_ = frozen_or_trained("embeddings.position_embeddings.weight", master);
  if (spec_.type_vocabulary > 0)
    type_embeddings_ = frozen_or_trained("embeddings.token_type_embeddings.weight", master);
  embedding_norm_ = norm_at("embeddings.LayerNorm");
  for (int64_t index = 0; index < spec_.layers; ++index) {
    const std::string at = "encoder.layer." + std::to_string(index) + ".";
    Layer layer;
    const std::vector<std::string> parts = {at + "attention.self.query", at + "attention.self.key",
                                            at + "attention.self.value"};
    if (train_all) {
      for (const std::string& part : parts) layer.separate.push_back(linear_at(part));
    } else {
      std::vector<at::Tensor> rows, biases;
      for (const std::string& part : parts) {
        rows.push_back(frozen_or_trained(part + ".weight", compute));
        biases.push_back(frozen_or_trained(part + ".bias", compute));
      }
      layer.query_key_value = Linear(at::cat(rows), at::cat(biases), compute);
    }
    layer.attention_output = linear_at(at + "attention.output.dense");
    layer.attention_norm = norm_at(at + "attention.output.LayerNorm");
    layer.up = linear_at(at + "intermediate.dense");
    layer.down = linear_at(at + "output.dense");
    layer.output_norm = norm_at(at + "output.LayerNorm");
    layers_.push_back(std::move(layer));
  }
}

at::Tensor Encoder::embed(const EncoderInput& input) const {
  const at::Tensor positions = spec_.position_offset == 0 ? input.positions : input.positions + spec_.position_offset;
  at::Tensor sum;
  if constexpr (kHasOwnKernels)
    if (own_kernels_take(word_embeddings_) && !word_embeddings_.requires_grad() && type_embeddings_.defined())
      sum = cuda_embedding_sum(word_embeddings_, position_embeddings_, type_embeddings_, input.input_ids,
                               input.positions, spec_.position_offset, word_embeddings_.scalar_type());
  if (!sum.defined()) {
    sum = at::embedding(word_embeddings_, input.input_ids) + at::embedding(position_embeddings_, positions);
    if (type_embeddings_.defined()) sum = sum + type_embeddings_[0];
  }
  return layer_norm(sum, embedding_norm_.weight, embedding_norm_.bias, spec_.layer_norm_eps).to(compute_);
}

at::Tensor Encoder::layer_forward(int64_t index, bool outputs_alone, const at::Tensor& x, const EncoderInput& input,
                                  Method& method, const DropoutRates& rates, const DropoutStream& dropout) const {
  const Layer& layer = layers_[static_cast<size_t>(index)];
  const int64_t site = index * kSitesPerLayer;
  const auto outputs = [&](const at::Tensor& rows) {
    return outputs_alone ? rows.index_select(0, input.output_rows) : rows;
  };
  const auto hidden_dropout_at = [&](int64_t place) {
    const SiteDropout drop = dropout_at(site + place, input, rates.hidden, dropout);
    return outputs_alone ? drop.of_rows(input.output_rows) : drop;
  };
  const std::vector<PairRows>& pairs = outputs_alone ? input.output_pairs : input.pairs;
  at::Tensor qkv;
  if (layer.separate.empty()) {
    qkv = layer.query_key_value(x);
  } else {
    std::vector<at::Tensor> parts;
    for (const Linear& part : layer.separate) parts.push_back(part(x));
    qkv = at::cat(parts, 1);
  }
  const at::Tensor context =
      packed_attention(qkv, input.sentence_starts, spec_.heads,
                       dropout_at(site + kSiteAttentionProbabilities, input, rates.attention, dropout));
  const at::Tensor middle =
      residual_norm(layer.attention_output.product(outputs(context)), layer.attention_output.bias(),
                    hidden_dropout_at(kSiteAttentionOutput), outputs(x), {}, layer.attention_norm);
  const at::Tensor inner = biased_activation(layer.up.product(middle), layer.up.bias(), Activation::kGelu);
  return method.end_layer(
      index, {layer.down, inner, hidden_dropout_at(kSiteFeedForwardOutput), middle, layer.output_norm, pairs});
}

at::Tensor Encoder::forward(const EncoderInput& input, Method& method, const DropoutRates& rates,
                            const DropoutStream& dropout, std::vector<at::Tensor>* hidden_states) const {
  at::Tensor x = keyed_dropout(embed(input), {}, dropout_at(kSiteEmbeddings, input, rates.hidden, dropout));
  x = method.after_embeddings(x, input.pairs);
  if (hidden_states != nullptr) hidden_states->push_back(x);
  // Without needed rows, or when all hidden states are asked for, the last layer computes all rows, and the needed ones
  // are selected afterwards.
  const bool narrows = hidden_states == nullptr && input.output_rows.defined() && input.output_rows.numel() > 0;
  const int64_t last = std::ssize(layers_) - 1;
  for (int64_t index = 0; index <= last; ++index) {
    x = layer_forward(index, narrows && index == last, x, input, method, rates, dropout);
    if (hidden_states != nullptr) hidden_states->push_back(x);
  }
  return narrows || !input.output_rows.defined() ? x : x.index_select(0, input.output_rows);
}

}  // namespace hyperx::model

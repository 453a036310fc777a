#include "model/encoder.h"

#include <torch/torch.h>

#include "common/errors.h"
#include "model/ops/attention.h"

namespace hyperx::model {
namespace {

// x + dropout(z), or the sum alone in evaluation.
at::Tensor add_dropped(const at::Tensor& z, const at::Tensor& x, const EncoderInput& input, double probability,
                       const DropoutStream& dropout, int64_t site) {
  if (!dropout.active || probability == 0) return z + x;
  return keyed_dropout(z, x, input.row_keys, probability, dropout.key(site));
}

at::Tensor dropped(const at::Tensor& z, const EncoderInput& input, double probability, const DropoutStream& dropout,
                   int64_t site) {
  if (!dropout.active || probability == 0) return z;
  return keyed_dropout(z, {}, input.row_keys, probability, dropout.key(site));
}

// The method's adapter, pair by pair.
at::Tensor adapted(const at::Tensor& z, int64_t layer, const EncoderInput& input, Method& method) {
  if (!method.has_adapter()) return z;
  if (input.pairs.size() == 1) return method.adapter(layer, input.pairs[0].pair, z);
  std::vector<at::Tensor> parts;
  for (const PairRows& rows : input.pairs)
    parts.push_back(method.adapter(layer, rows.pair, z.narrow(0, rows.token_begin, rows.token_end - rows.token_begin)));
  return torch::cat(parts);
}

}  // namespace

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double epsilon) {
  const std::vector<int64_t> shape{weight.numel()};
  if (x.is_cpu() || x.scalar_type() == weight.scalar_type()) return torch::layer_norm(x, shape, weight, bias, epsilon);
  return torch::layer_norm(x.to(weight.scalar_type()), shape, weight, bias, epsilon).to(x.scalar_type());
}

Encoder::Encoder(const EncoderWeights& weights, ParameterSet& parameters, bool train_all, at::ScalarType compute,
                 at::Device device)
    : spec_(weights.spec), compute_(compute) {
  const at::ScalarType master = compute == at::kDouble ? at::kDouble : at::kFloat;
  const auto trained = [&](const std::string& name, const char* group) {
    return parameters.add("encoder." + name, group, weights.tensors.at(name).to(device, master)).value;
  };
  const auto frozen_or_trained = [&](const std::string& name, at::ScalarType type) {
    return train_all ? trained(name, "encoder") : weights.tensors.at(name).to(device, type);
  };
  const auto norm_at = [&](const std::string& prefix) {
    return Norm{trained(prefix + ".weight", "layer_norms"), trained(prefix + ".bias", "layer_norms")};
  };
  const auto linear_at = [&](const std::string& prefix) {
    return Linear{frozen_or_trained(prefix + ".weight", compute), frozen_or_trained(prefix + ".bias", compute)};
  };

  word_embeddings_ = frozen_or_trained("embeddings.word_embeddings.weight", master);
  position_embeddings_ = frozen_or_trained("embeddings.position_embeddings.weight", master);
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
      layer.query_key_value = Linear(torch::cat(rows), torch::cat(biases));
    }
    layer.attention_output = linear_at(at + "attention.output.dense");
    layer.attention_norm = norm_at(at + "attention.output.LayerNorm");
    layer.up = linear_at(at + "intermediate.dense");
    layer.down = linear_at(at + "output.dense");
    layer.output_norm = norm_at(at + "output.LayerNorm");
    layers_.push_back(std::move(layer));
  }
}

at::Tensor Encoder::normalise(const at::Tensor& x, const Norm& norm) const {
  return layer_norm(x, norm.weight, norm.bias, spec_.layer_norm_eps);
}

at::Tensor Encoder::embed(const EncoderInput& input) const {
  const at::Tensor positions = spec_.position_offset == 0 ? input.positions : input.positions + spec_.position_offset;
  const at::Tensor sum = torch::embedding(word_embeddings_, input.input_ids) +
                         torch::embedding(position_embeddings_, positions) + type_embeddings_[0];
  return normalise(sum, embedding_norm_).to(compute_);
}

at::Tensor Encoder::layer_forward(const Layer& layer, int64_t index, const at::Tensor& x, const EncoderInput& input,
                                  Method& method, const DropoutRates& rates, const DropoutStream& dropout) const {
  const int64_t site = index * kSitesPerLayer;
  at::Tensor qkv;
  if (layer.separate.empty()) {
    qkv = layer.query_key_value(x);
  } else {
    std::vector<at::Tensor> parts;
    for (const Linear& part : layer.separate) parts.push_back(part(x));
    qkv = torch::cat(parts, 1);
  }
  const double attention_rate = dropout.active ? rates.attention : 0.0;
  const at::Tensor context = packed_attention(qkv, input.sentence_starts, spec_.heads, input.row_keys, attention_rate,
                                              dropout.key(site + kSiteAttentionProbabilities));
  const at::Tensor attention = layer.attention_output(context);
  const at::Tensor middle = normalise(
      add_dropped(attention, x, input, rates.hidden, dropout, site + kSiteAttentionOutput), layer.attention_norm);

  const at::Tensor inner = torch::gelu(layer.up(middle));
  const at::Tensor z = layer.down(inner);
  if (method.has_adapter() && method.adapter_position() == Method::Position::kFeedForwardOutput) {
    const at::Tensor adapted_z =
        adapted(dropped(z, input, rates.hidden, dropout, site + kSiteFeedForwardOutput), index, input, method);
    return normalise(adapted_z + middle, layer.output_norm);
  }
  const at::Tensor out =
      normalise(add_dropped(z, middle, input, rates.hidden, dropout, site + kSiteFeedForwardOutput), layer.output_norm);
  return adapted(out, index, input, method);
}

at::Tensor Encoder::forward(const EncoderInput& input, Method& method, const DropoutRates& rates,
                            const DropoutStream& dropout, std::vector<at::Tensor>* hidden_states) const {
  at::Tensor x = dropped(embed(input), input, rates.hidden, dropout, kSiteEmbeddings);
  if (hidden_states != nullptr) hidden_states->push_back(x);
  for (size_t index = 0; index < layers_.size(); ++index) {
    x = layer_forward(layers_[index], static_cast<int64_t>(index), x, input, method, rates, dropout);
    if (hidden_states != nullptr) hidden_states->push_back(x);
  }
  return x;
}

}  // namespace hyperx::model

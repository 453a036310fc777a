#include "model/heads/heads.h"

#include <torch/torch.h>

#include "common/errors.h"
#include "model/encoder/encoder.h"

namespace hyperx::model {
namespace {

constexpr double kHeadDeviation = 0.02;

}  // namespace

Heads::Heads(const std::vector<data::TaskInfo>& tasks, const EncoderWeights& encoder, bool trained_decoder,
             uint64_t seed, at::ScalarType master, at::Device device, ParameterSet& parameters)
    : norm_eps_(encoder.spec.layer_norm_eps) {
  const at::TensorOptions options = at::TensorOptions().dtype(master).device(device);
  const int64_t hidden = encoder.spec.hidden, vocabulary = encoder.spec.vocabulary;
  for (const data::TaskInfo& task : tasks) {
    const std::string prefix = "heads." + task.name;
    const auto add = [&](const std::string& name, const at::Tensor& initial) {
      return parameters.add(prefix + "." + name, prefix, initial.to(device, master)).value;
    };
    if (!task.masked) {
      const int64_t classes = static_cast<int64_t>(task.labels.size());
      taggers_[task.name] = {
          add("weight", normal_tensor({classes, hidden}, kHeadDeviation, seed, prefix + ".weight", options)),
          add("bias", torch::zeros({classes}, options))};
      continue;
    }
    // From the checkpoint's own head; drawn where it has none.
    const auto from_encoder = [&](const std::string& name, const at::Tensor& fallback) {
      const auto it = encoder.mlm_head.find(name);
      return add(name, it == encoder.mlm_head.end() ? fallback : it->second);
    };
    MaskedLm head;
    head.transform_weight = from_encoder(
        "transform.dense.weight",
        normal_tensor({hidden, hidden}, kHeadDeviation, seed, prefix + ".transform.dense.weight", options));
    head.transform_bias = from_encoder("transform.dense.bias", torch::zeros({hidden}, options));
    head.norm_weight = from_encoder("transform.LayerNorm.weight", torch::ones({hidden}, options));
    head.norm_bias = from_encoder("transform.LayerNorm.bias", torch::zeros({hidden}, options));
    head.bias = from_encoder("bias", torch::zeros({vocabulary}, options));
    if (trained_decoder) head.decoder = add("decoder.weight", encoder.tensors.at("embeddings.word_embeddings.weight"));
    masked_[task.name] = head;
  }
}

at::Tensor Heads::logits(const std::string& task, const at::Tensor& rows, const SiteDropout& dropout,
                         const at::Tensor& word_embeddings) const {
  const auto tagger = taggers_.find(task);
  if (tagger != taggers_.end()) {
    const at::Tensor input = keyed_dropout(rows.to(tagger->second.weight.scalar_type()), {}, dropout);
    return torch::linear(input, tagger->second.weight, tagger->second.bias);
  }
  const auto found = masked_.find(task);
  if (found == masked_.end())
    throw UserError(ExitCode::kBadConfig, "the model has no head for the task '" + task + "'");
  const MaskedLm& head = found->second;
  const at::ScalarType wide = head.bias.scalar_type();
  const at::Tensor transformed =
      layer_norm(torch::gelu(torch::linear(rows.to(wide), head.transform_weight, head.transform_bias)),
                 head.norm_weight, head.norm_bias, norm_eps_);
  const at::Tensor& decoder = head.decoder.defined() ? head.decoder : word_embeddings;
  return torch::linear(transformed.to(decoder.scalar_type()), decoder).to(wide) + head.bias;
}

}  // namespace hyperx::model

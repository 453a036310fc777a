#include "model/encoder/family.h"

namespace hyperx::model {
namespace {

std::vector<std::string> encoder_names(const std::string& ours) { return {ours}; }

// Ours are "transform.dense.weight", "transform.LayerNorm.weight", ..., "bias".
std::vector<std::string> mlm_head_names(const std::string& ours) {
  static const std::string kTransform = "transform.", kNorm = "transform.LayerNorm.";
  if (ours.starts_with(kNorm)) return {"lm_head.layer_norm." + ours.substr(kNorm.size())};
  if (ours.starts_with(kTransform)) return {"lm_head." + ours.substr(kTransform.size())};
  return {"lm_head." + ours};
}

void read(const EncoderConfig& config, EncoderSpec& spec) {
  config.require("position_embedding_type", "absolute");
  spec.type_vocabulary = config.size("type_vocab_size");
  spec.position_offset = config.id("pad_token_id") + 1;
  if (spec.position_offset >= spec.max_positions)
    config.fail("pad_token_id " + std::to_string(spec.position_offset - 1) + " leaves none of the " +
                std::to_string(spec.max_positions) + " positions: they begin after it");
}

}  // namespace

EncoderFamily xlm_roberta_family() {
  return {"xlm-roberta",
          "roberta.",
          encoder_names,
          mlm_head_names,
          {"embeddings.position_ids", "pooler.", "lm_head.decoder."},
          read};
}

}  // namespace hyperx::model

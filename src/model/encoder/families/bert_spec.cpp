#include "model/encoder/family.h"

namespace hyperx::model {
namespace {

// Old TensorFlow conversions call a LayerNorm's weight gamma and its bias beta.
std::vector<std::string> with_old_name(const std::string& name) {
  for (const auto& [modern, old] :
       {std::pair{"LayerNorm.weight", "LayerNorm.gamma"}, {"LayerNorm.bias", "LayerNorm.beta"}})
    if (name.ends_with(modern)) return {name, name.substr(0, name.size() - std::string(modern).size()) + old};
  return {name};
}

std::vector<std::string> mlm_head_names(const std::string& ours) { return with_old_name("cls.predictions." + ours); }

void read(const EncoderConfig& config, EncoderSpec& spec) {
  config.require("position_embedding_type", "absolute");
  spec.type_vocabulary = config.size("type_vocab_size");
}

}  // namespace

EncoderFamily bert_family() {
  return {"bert",
          "bert.",
          with_old_name,
          mlm_head_names,
          {"embeddings.position_ids", "pooler.", "cls.seq_relationship.", "cls.predictions.decoder."},
          read};
}

}  // namespace hyperx::model

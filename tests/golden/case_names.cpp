#include "tests/golden/case_names.h"

#include <regex>

namespace hyperx::golden {

std::string our_name(const std::string& original) {
  std::smatch match;
  static const std::regex kGenerator(
      R"(encoder\.encoder\.hypernet\.(\d+\.)?meta_(down|up)_sampler\.(weight|bias)_generator\.0\.(weight|bias))");
  if (std::regex_match(original, match, kGenerator))
    return "hypernetwork." + match[1].str() + match[3].str() + "_" + match[2].str() + "." + match[4].str();
  static const std::regex kConditionalNorm(
      R"(encoder\.encoder\.hypernet\.(\d+\.)?(pre|post)_layernorm_hypernet\.(weight|bias)_generator\.(weight|bias))");
  if (std::regex_match(original, match, kConditionalNorm))
    return "hypernetwork." + match[1].str() + (match[2] == "pre" ? "norm_before_" : "norm_after_") + match[3].str() +
           "." + match[4].str();
  static const std::regex kPlainNorm(R"(encoder\.encoder\.hypernet\.(\d+\.)?(pre|post)_layer_norm\.(weight|bias))");
  if (std::regex_match(original, match, kPlainNorm))
    return "hypernetwork." + match[1].str() + (match[2] == "pre" ? "norm_before." : "norm_after.") + match[3].str();

  static const std::regex kEmbedding(
      R"(encoder\.encoder\.hypernet_source_controller\.(task|lang|layer_id)_embeddings\.(?:layer:)?(.+))");
  const std::string in_encoder =
      std::regex_replace(original, std::regex(R"(^encoder\.hypernet_source)"), "encoder.encoder.hypernet_source");
  if (std::regex_match(in_encoder, match, kEmbedding)) {
    const std::string kind = match[1] == "task" ? "task" : match[1] == "lang" ? "language" : "layer";
    return "embeddings." + kind + "." + match[2].str();
  }
  static const std::regex kProjection(
      R"(encoder\.encoder\.hypernet_source_controller\.source_embedding_MLP\.(0|2)\.(weight|bias))");
  if (std::regex_match(in_encoder, match, kProjection))
    return std::string("projection.") + (match[1] == "0" ? "hidden." : "output.") + match[2].str();

  static const std::regex kTagger(R"(taskmodels_dict\.(\w+)\.cls\.(weight|bias))");
  if (std::regex_match(original, match, kTagger)) return "heads." + match[1].str() + "." + match[2].str();
  static const std::regex kClassifier(R"(classifier\.(weight|bias))");
  if (std::regex_match(original, match, kClassifier)) return "heads.pos." + match[1].str();
  static const std::regex kBiaffine(R"(taskmodels_dict\.dep\.biaffine_(arcs|rels)\.weight)");
  if (std::regex_match(original, match, kBiaffine))
    return std::string("heads.dep.") + (match[1] == "arcs" ? "arcs" : "relations") + ".weight";
  static const std::regex kMasked(R"((?:taskmodels_dict\.mlm\.)?cls\.predictions\.(.+))");
  if (std::regex_match(original, match, kMasked)) return "heads.mlm." + match[1].str();
  static const std::regex kXlmRobertaHead(R"(lm_head\.(dense|layer_norm)\.(weight|bias))");
  if (std::regex_match(original, match, kXlmRobertaHead))
    return "heads.mlm.transform." + std::string(match[1] == "dense" ? "dense." : "LayerNorm.") + match[2].str();
  static const std::regex kInvertible(R"(bert\.invertible_adapters\.(\w+)\.(F|G)\.(0|2)\.(weight|bias))");
  if (std::regex_match(original, match, kInvertible))
    return "madx.languages." + match[1].str() + ".invertible." + match[2].str() + (match[3] == "0" ? ".0." : ".1.") +
           match[4].str();
  static const std::regex kAdapter(
      R"(bert\.encoder\.layer\.(\d+)\.output\.adapters\.(\w+)\.adapter_(down|up)(?:\.0)?\.(weight|bias))");
  if (std::regex_match(original, match, kAdapter))
    return (match[2] == "task" ? "madx.tasks.pos" : "madx.languages." + match[2].str()) + ".layers." + match[1].str() +
           "." + match[3].str() + "." + match[4].str();
  static const std::regex kLatent(R"(classifier\.(lang|task)_(mean|logvar|fctvar)(?:\.weight)?)");
  if (std::regex_match(original, match, kLatent))
    return std::string("psf.") + (match[1] == "lang" ? "languages." : "tasks.") +
           (match[2] == "fctvar" ? "factor" : match[2].str());
  static const std::regex kMlp(R"(classifier\.MLP_(in|out|\d+)\.dense\.(weight|bias))");
  if (std::regex_match(original, match, kMlp)) {
    const std::string number = match[1] == "in"    ? "0"
                               : match[1] == "out" ? "5"
                                                   : std::to_string(std::stoi(match[1].str()) - 1);
    return "psf.mlp." + number + "." + match[2].str();
  }
  static const std::regex kLast(R"(classifier\.emb2(weight_mean|weight_logvar|bias)_(\w+)\.(weight|bias))");
  if (std::regex_match(original, match, kLast))
    return "psf.last." + match[2].str() + "." +
           (match[1] == "bias" ? "bias" : match[1].str().substr(std::string("weight_").size())) + "." + match[3].str();
  if (original == "lm_head.bias") return "heads.mlm.bias";
  if (original == "lm_head.decoder.weight") return "encoder.embeddings.word_embeddings.weight";  // one tensor
  if (original.rfind("roberta.", 0) == 0) return "encoder." + original.substr(8);
  if (original.rfind("bert.", 0) == 0) return "encoder." + original.substr(5);
  if (original.rfind("encoder.", 0) == 0) return original;
  return "";
}

}  // namespace hyperx::golden

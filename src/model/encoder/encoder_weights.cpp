#include "model/encoder/encoder_weights.h"

#include <ATen/ATen.h>
#include <torch/serialize.h>

#include <algorithm>
#include <cmath>

#include "common/digest.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/host.h"
#include "common/progress.h"
#include "common/read_error.h"
#include "common/text_table.h"
#include "model/encoder/family.h"
#include "model/encoder/safetensors.h"
#include "model/parameters/parameters.h"

namespace hyperx::model {
namespace {

constexpr double kInitialDeviation = 0.02;
constexpr size_t kNamesShown = 8;

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < kNamesShown; ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kNamesShown) text += " and " + std::to_string(names.size() - kNamesShown) + " more";
  return text;
}

std::map<std::string, at::Tensor> read_pickle(const std::string& path) {
  const MappedFile bytes(path);
  std::map<std::string, at::Tensor> tensors;
  try {
    const c10::IValue value = torch::pickle_load(std::vector<char>(bytes.view().begin(), bytes.view().end()));
    for (const auto& item : value.toGenericDict()) tensors[item.key().toStringRef()] = item.value().toTensor();
  } catch (const c10::Error& error) {
    throw UserError(ExitCode::kBadData, path + ": LibTorch cannot read it (" + error.what_without_backtrace() +
                                            "). Convert it to model.safetensors with Hugging Face's tools");
  }
  return tensors;
}

// The tensors of a weights file under its family's names; those of the encoder are taken out one by one.
class WeightsFile {
 public:
  using Tensors = std::map<std::string, at::Tensor>;

  WeightsFile(const EncoderFamily& family, const Tensors& found) : family_(family) {
    for (const auto& [name, tensor] : found)
      left_[name.starts_with(family.prefix) ? name.substr(family.prefix.size()) : name] = tensor;
  }

  bool has_any(const TensorShapes& ours, EncoderFamily::Names names) const {
    return std::any_of(ours.begin(), ours.end(),
                       [&](const auto& each) { return find(names(each.first)) != left_.end(); });
  }

  void take(const TensorShapes& ours, EncoderFamily::Names names, Tensors& into) {
    for (const auto& [name, shape] : ours) {
      const std::vector<std::string> theirs = names(name);
      const auto it = find(theirs);
      if (it == left_.end()) {
        missing_.push_back(theirs.front());
        continue;
      }
      if (it->second.sizes() == at::IntArrayRef(shape))
        into[name] = it->second;
      else
        misshapen_.push_back(it->first + " is " + shape_text(it->second.sizes().vec()) + ", config.json says " +
                             shape_text(shape));
      left_.erase(it);
    }
  }

  // Of layers that are not used.
  void pass_over(const TensorShapes& ours, EncoderFamily::Names names) {
    for (const auto& [name, shape] : ours)
      if (const auto it = find(names(name)); it != left_.end()) left_.erase(it);
  }

  void check_all_taken(const std::string& path) const {
    std::vector<std::string> extra;
    for (const auto& [name, tensor] : left_)
      if (!is_other_part(name)) extra.push_back(name);
    std::string fault;
    if (!missing_.empty()) fault += " missing: " + listed(missing_) + ";";
    if (!misshapen_.empty()) fault += " misshapen: " + listed(misshapen_) + ";";
    if (!extra.empty()) fault += " not of model_type " + family_.model_type + ": " + listed(extra) + ";";
    if (!fault.empty())
      throw UserError(ExitCode::kBadData, path + ": does not hold the encoder that config.json beside it describes:" +
                                              fault + " check that both files belong together");
  }

  // The decoder of masked words, if it is not the table of the word embeddings.
  std::string untied_decoder(const at::Tensor& words) const {
    for (const auto& [name, tensor] : left_)
      if (is_other_part(name) && name.ends_with(".decoder.weight") &&
          !(tensor.sizes() == words.sizes() && at::equal(tensor, words.to(tensor.scalar_type()))))
        return name;
    return "";
  }

 private:
  Tensors::const_iterator find(const std::vector<std::string>& names) const {
    for (const std::string& name : names)
      if (const auto it = left_.find(name); it != left_.end()) return it;
    return left_.end();
  }
  bool is_other_part(const std::string& name) const {
    return std::any_of(family_.other_parts.begin(), family_.other_parts.end(),
                       [&](const std::string& begin) { return name.starts_with(begin); });
  }

  const EncoderFamily& family_;
  Tensors left_;  // by name without the family's prefix
  std::vector<std::string> missing_, misshapen_;
};

// Said before it is tried: the system may end the process once it uses what it was given.
void require_memory(const EncoderSpec& spec, const std::string& folder) {
  const EncoderSizes sizes = encoder_sizes(spec);
  const double bytes = static_cast<double>(sizeof(float)) * static_cast<double>(sizes.norms + sizes.without_norms());
  const auto usable = static_cast<double>(usable_memory());
  if (bytes <= usable) return;
  throw UserError(ExitCode::kIo, folder + "/config.json: random weights of an encoder of these sizes take " +
                                     format_bytes(bytes) + ", and this process may use " + format_bytes(usable) +
                                     " of memory: correct the sizes, or take a smaller encoder");
}

// One pass over the memory: the sum of finite values is finite, unless it overflows.
void require_finite(const std::map<std::string, at::Tensor>& tensors, const std::string& path) {
  for (const auto& [name, tensor] : tensors)
    if (!std::isfinite(tensor.sum().item<double>()) && !at::isfinite(tensor).all().item<bool>())
      throw UserError(ExitCode::kBadData, path + ": " + name + " has values that are not finite: nothing can be " +
                                              "computed with it; get the file again");
}

EncoderWeights draw_encoder(const std::string& folder, uint64_t seed, int64_t layers,
                            const std::vector<EncoderFamily>& families) {
  EncoderWeights weights;
  weights.spec = read_encoder_spec(folder, layers, families);
  require_memory(weights.spec, folder);
  const auto draw = [&](const std::string& name, const std::vector<int64_t>& shape) {
    if (name.ends_with("LayerNorm.weight")) return at::ones(shape);
    if (name.ends_with("bias")) return at::zeros(shape);
    return normal_tensor(shape, kInitialDeviation, seed, "encoder." + name, at::kFloat);
  };
  for (const auto& [name, shape] : encoder_tensor_shapes(weights.spec)) weights.tensors[name] = draw(name, shape);
  weights.digest =
      known_digest(sha256_hex("random " + read_file(folder + "/config.json") + " seed " + std::to_string(seed)));
  return weights;
}

}  // namespace

EncoderWeights sort_encoder_tensors(const EncoderSpec& spec, const std::map<std::string, at::Tensor>& found,
                                    const std::string& path) {
  HYPERX_CHECK(spec.family != nullptr, "the family says what the tensors are called");
  WeightsFile file(*spec.family, found);
  EncoderWeights weights;
  weights.spec = spec;
  file.take(encoder_tensor_shapes(spec), spec.family->encoder_names, weights.tensors);
  const TensorShapes head = mlm_head_shapes(spec);
  if (file.has_any(head, spec.family->mlm_head_names)) file.take(head, spec.family->mlm_head_names, weights.mlm_head);
  file.pass_over(unused_tensor_shapes(spec), spec.family->encoder_names);
  file.check_all_taken(path);
  weights.untied_decoder = file.untied_decoder(weights.tensors.at("embeddings.word_embeddings.weight"));
  return weights;
}

EncoderWeights load_encoder(const std::string& source, uint64_t seed, int64_t layers, std::launch digest,
                            const std::vector<EncoderFamily>& families) {
  if (source.empty())
    throw UserError(ExitCode::kBadConfig,
                    "model.encoder is not set: name a folder with config.json, a vocabulary and "
                    "model.safetensors, or random:FOLDER for drawn weights");
  EncoderWeights weights;
  if (has_random_weights(source)) {
    weights = draw_encoder(encoder_folder(source), seed, layers, families);
  } else {
    const EncoderSpec spec = read_encoder_spec(source, layers, families);
    const std::string safetensors = source + "/model.safetensors", pickle = source + "/pytorch_model.bin";
    std::map<std::string, at::Tensor> found;
    for (const std::string& whole : {safetensors, pickle})
      if (kind_of(safetensors) == PathKind::kNothing && kind_of(pickle) == PathKind::kNothing &&
          kind_of(whole + ".index.json") != PathKind::kNothing)
        throw UserError(ExitCode::kBadData,
                        whole +
                            ".index.json: the weights are in several files, but hyperx reads one: merge them into " +
                            safetensors + ", as by save_pretrained(FOLDER, max_shard_size=\"100GB\") of transformers");
    const bool is_pickle = kind_of(safetensors) == PathKind::kNothing && kind_of(pickle) != PathKind::kNothing;
    if (is_pickle) {
      found = read_pickle(pickle);
    } else {
      const Safetensors file(safetensors);
      for (const std::string& name : file.names()) found[name] = file.tensor(name);
    }
    weights = sort_encoder_tensors(spec, found, is_pickle ? pickle : safetensors);
    weights.digest = future_sha256_of_file(is_pickle ? pickle : safetensors, digest);
    require_finite(weights.tensors, is_pickle ? pickle : safetensors);
    require_finite(weights.mlm_head, is_pickle ? pickle : safetensors);
  }
  weights.source = source;
  return weights;
}

}  // namespace hyperx::model

#include "tests/golden/golden_case.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "common/errors.h"
#include "common/files.h"
#include "data/tasks/dependencies/dep_options.h"
#include "model/encoder/family.h"
#include "tests/golden/case_names.h"
#include "tests/support/hyperx_of.h"

namespace hyperx::golden {
namespace {

using nlohmann::json;

constexpr double kZeroGradient = 1e-6;  // absolute, where real arithmetic gives 0

bool is_key_bias(const std::string& name) { return name.find(".attention.self.key.bias") != std::string::npos; }

}  // namespace

GoldenCase::GoldenCase(const std::string& folder, const std::string& weights_file, at::ScalarType type)
    : folder_(folder), type_(type) {
  try {
    json_ = json::parse(read_file(folder + "/case.json"));
    arrays_ = std::make_unique<model::Safetensors>(folder + "/case.safetensors");
    read_config();
    make_model(weights_file);
    set_weights();
  } catch (const json::exception& error) {
    throw UserError(ExitCode::kBadData, folder + "/case.json: " + error.what());
  }
}

void GoldenCase::read_config() {
  if (has_encoder_folder()) {
    spec_ = model::read_encoder_spec(folder_ + "/encoder");
  } else {
    read_sizes(json_.at("config"));
  }
  config_.model.dropout = config_.model.attention_dropout = 0;
  read_method();
}

bool GoldenCase::has_encoder_folder() const { return std::filesystem::exists(folder_ + "/encoder"); }

void GoldenCase::read_sizes(const json& config) {
  spec_.family = model::find_encoder_family("bert");
  spec_.hidden = config.at("hidden_size");
  spec_.layers = config.at("num_hidden_layers");
  spec_.heads = config.at("num_attention_heads");
  spec_.intermediate = config.at("intermediate_size");
  spec_.vocabulary = config.at("vocab_size");
  spec_.max_positions = config.at("max_position_embeddings");
  spec_.type_vocabulary = config.at("type_vocab_size");
  spec_.layer_norm_eps = config.at("layer_norm_eps");
}

void GoldenCase::read_method() {
  std::vector<std::string> tasks;
  if (json_.contains("hyperx")) {
    const json& options = json_.at("hyperx");
    tasks = strings(options.at("tasks"));
    languages_ = strings(options.at("languages"));
    model::HyperXOptions& sizes = config_.sections.edit<model::HyperXOptions>();
    sizes.task_dim = options.at("task_embedding_dim");
    sizes.language_dim = options.at("language_embedding_dim");
    sizes.layer_dim =
        options.at("condition_to_layer_id").get<bool>() ? options.at("layer_id_embedding_dim").get<int>() : 0;
    sizes.source_hidden_dim = options.at("source_hidden_dim");
    sizes.projected_dim = options.at("project_source_embeddings").get<bool>()
                              ? options.at("projected_source_embedding_dim").get<int>()
                              : 0;
    sizes.adapter_dim = options.at("adapter_dim");
    sizes.adapter_activation = options.at("adapter_non_linearity");
    sizes.adapter_position = options.at("after_layer_output").get<bool>() ? "after-layer" : "ffn-output";
    const std::string norm = options.at("conditional_layer_norm").get<bool>() ? "conditional" : "plain";
    if (options.at("add_layer_norm_before_adapter").get<bool>()) sizes.adapter_norm_before = norm;
    if (options.at("add_layer_norm_after_adapter").get<bool>()) sizes.adapter_norm_after = norm;
    if (json_.value("task", "") == "dep")
      config_.sections.edit<data::DepOptions>().zero_candidates =
          static_cast<int>(arrays_->shape("inputs/input_ids").at(1));
  } else if (json_.contains("adapters")) {
    read_madx();
    tasks = {pair().task};
  } else if (json_.contains("psf")) {
    read_psf();
    return;
  } else {
    config_.model.method = "mbert";
    tasks = {arrays_->has("weights/classifier.weight") ? "pos" : "mlm"};
    languages_ = {"en"};
  }
  if (arrays_->has("weights/taskmodels_dict.mlm.cls.predictions.decoder.weight")) config_.model.mlm_decoder = "trained";
  for (const std::string& name : tasks) {
    std::vector<std::string> labels;
    for (const std::string& key :
         {"weights/taskmodels_dict." + name + ".cls.weight",
          "weights/taskmodels_dict." + name + ".biaffine_rels.weight", std::string("weights/classifier.weight")})
      if (arrays_->has(key)) labels.assign(static_cast<size_t>(arrays_->shape(key)[0]), "label");
    tasks_.add(name, labels);
  }
}

void GoldenCase::make_model(const std::string& weights_file) {
  std::map<std::string, at::Tensor> found;
  if (has_encoder_folder()) {
    model_ = std::make_unique<model::Model>(model::load_encoder(folder_ + "/encoder", 1),
                                            model::ModelOptions{config_, tasks_, languages_, type_, at::kCPU});
    return;
  }
  if (json_.contains("weights_file")) {
    if (weights_file.empty())
      throw SkippedCase("its weights lie elsewhere (" + json_.at("weights_file").at("package").get<std::string>() +
                        ", " + json_.at("weights_file").at("path_in_wheel").get<std::string>() +
                        "): name the file with --weights FILE");
    const model::Safetensors file(weights_file);
    for (const std::string& name : file.names()) found[name] = file.tensor(name);
  } else {
    for (const std::string& name : arrays_->names()) {
      static const std::string kEncoder = "weights/encoder.", kBert = "weights/bert.";
      if (name.find("hypernet") != std::string::npos || name.find("adapters.") != std::string::npos ||
          name.find("pooler.") != std::string::npos)
        continue;
      for (const std::string& prefix : {kEncoder, kBert})
        if (name.rfind(prefix, 0) == 0) found[name.substr(prefix.size())] = arrays_->tensor(name);
    }
  }
  const model::EncoderWeights encoder = model::sort_encoder_tensors(spec_, found, folder_);
  model::ModelOptions options{config_, tasks_, languages_, type_, at::kCPU};
  options.needed = needed_;
  options.pairs = pairs_;
  model_ = std::make_unique<model::Model>(encoder, options);
  bool wide = false;
  if (reference("outputs", "plain.first8", wide).defined()) {
    options.config.model.method = "mbert";
    plain_ = std::make_unique<model::Model>(encoder, options);
  }
}

void GoldenCase::set_weights() {
  if (has_encoder_folder()) return;  // which has them all
  at::NoGradGuard no_gradient;
  std::map<std::string, at::Tensor> ours;
  for (const auto& view : model_->parameters().named_values()) ours[view.name] = view.value;
  for (const std::string& name : arrays_->names()) {
    if (name.rfind("weights/", 0) != 0) continue;
    const auto it = ours.find(our_name(name.substr(8)));
    if (it == ours.end()) continue;  // the encoder's frozen tensors
    const at::Tensor given = arrays_->tensor(name);
    // The original's joint posteriors are flat, and its arcs have one class.
    const bool may_be_flat = it->first.starts_with("psf.") || it->first.starts_with("heads.dep.");
    if (it->second.sizes() != given.sizes() && !(may_be_flat && it->second.numel() == given.numel()))
      throw UserError(ExitCode::kBadData, folder_ + ": " + name + " has another shape than our " + it->first);
    it->second.copy_(given.view(it->second.sizes()));
    ours.erase(it);
  }
  for (const auto& [name, tensor] : ours) {
    const bool other_task = name.starts_with("heads.dep.") && json_.value("task", "") != "dep";
    if (name.rfind("encoder.", 0) != 0 && !other_task)
      throw UserError(ExitCode::kBadData, folder_ + ": the case has no weight for our " + name);
  }
}

data::Pair GoldenCase::pair() const {
  if (json_.contains("pair")) return data::parse_pair(json_.at("pair").get<std::string>());
  if (json_.contains("psf")) return {json_.at("task"), json_.at("language")};
  const bool tags = arrays_->has("weights/classifier.weight");
  return {tags ? "pos" : "mlm", languages_.front()};
}

GoldenCase::PackedInput GoldenCase::pack(const std::string& prefix) const {
  const at::Tensor ids = arrays_->tensor("inputs/" + prefix + "input_ids");
  const at::Tensor mask = arrays_->has("inputs/lengths")
                              ? at::arange(ids.size(1)).unsqueeze(0) < arrays_->tensor("inputs/lengths")
                              : arrays_->tensor("inputs/" + prefix + "attention_mask");
  const at::Tensor labels = arrays_->tensor("inputs/" + prefix + "labels");
  data::Batch labelled, all;
  std::vector<int64_t> rows;
  labelled.sentence_starts.push_back(0);
  for (int64_t s = 0; s < ids.size(0); ++s) {
    int64_t position = 0;
    for (int64_t t = 0; t < ids.size(1); ++t) {
      if (!mask[s][t].item().toBool()) continue;
      const int64_t label = labels[s][t].item<int64_t>(), row = static_cast<int64_t>(rows.size());
      if (label >= 0) {
        labelled.label_positions.push_back(row);
        labelled.labels.push_back(label);
      }
      labelled.input_ids.push_back(ids[s][t].item<int64_t>());
      labelled.positions.push_back(position++);
      rows.push_back(s * ids.size(1) + t);
    }
    labelled.sentence_starts.push_back(static_cast<int32_t>(rows.size()));
    labelled.sentence_slots.push_back(s);
  }
  all = labelled;
  all.label_positions.resize(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) all.label_positions[i] = static_cast<int64_t>(i);
  all.labels.assign(rows.size(), 0);
  for (data::Batch* batch : {&labelled, &all}) {
    const int count = static_cast<int>(batch->labels.size());
    data::Segment segment;
    segment.token_end = static_cast<int>(rows.size());
    segment.sentence_end = static_cast<int>(ids.size(0));
    segment.label_end = count;
    segment.label_count = count;
    batch->segments = {segment};
  }
  return {model_->pack(labelled), model_->pack(all), at::tensor(at::ArrayRef<int64_t>(rows), at::kLong)};
}

at::Tensor GoldenCase::reference(const std::string& part, const std::string& name, bool& wide) const {
  const std::string wide_name = part + "64/" + name, narrow_name = part + "/" + name;
  const bool has_wide = arrays_->has(wide_name);
  wide = has_wide && type_ == at::kDouble;
  if (has_wide) return arrays_->tensor(wide_name);
  return arrays_->has(narrow_name) ? arrays_->tensor(narrow_name) : at::Tensor();
}

void GoldenCase::compare(const std::string& part, const std::string& name, const at::Tensor& ours,
                         double wide_tolerance, double narrow_tolerance, bool by_absolute) {
  bool wide = false;
  at::Tensor expected = reference(part, name, wide);
  if (!expected.defined()) return;
  expected = expected.to(at::kDouble).reshape({-1});
  const at::Tensor actual = ours.detach().to(at::kDouble).reshape({-1});
  Deviation deviation{part + "/" + name, 0, 0, wide ? wide_tolerance : narrow_tolerance, by_absolute};
  if (actual.numel() != expected.numel()) {
    deviation.absolute = deviation.relative = std::nan("");
  } else if (actual.numel() > 0) {
    deviation.absolute = (actual - expected).abs().max().item<double>();
    const double largest = expected.abs().max().item<double>();
    deviation.relative = largest > 0 ? deviation.absolute / largest : deviation.absolute;
  }
  deviations_.push_back(deviation);
}

std::vector<Deviation> GoldenCase::check() {
  deviations_.clear();
  if (json_.contains("optimisation")) {
    check_steps();
  } else if (json_.contains("psf")) {
    check_psf();
  } else if (json_.value("task", "") == "dep") {
    check_trees();
  } else {
    check_forward_backward();
  }
  require_all_compared();
  return deviations_;
}

void GoldenCase::require_all_compared() {
  std::set<std::string> compared;
  for (const Deviation& deviation : deviations_) compared.insert(deviation.name);
  for (const std::string& name : arrays_->names()) {
    const size_t slash = name.find('/');
    std::string part = name.substr(0, slash);
    if (part == "weights" || part == "inputs" || part.starts_with("extra")) continue;
    if (part.ends_with("64")) part.resize(part.size() - 2);
    const std::string result = part + name.substr(slash);
    if (!compared.contains(result))
      deviations_.push_back({result + " (not compared)", std::nan(""), std::nan(""), 0, false});
  }
}

void GoldenCase::check_hidden(const std::string& prefix, const std::vector<at::Tensor>& hidden,
                              const at::Tensor& rows) {
  for (size_t k = 0; k < hidden.size(); ++k) {
    bool wide = false;
    std::string name = prefix + "hidden." + std::to_string(k);
    if (!reference("outputs", name, wide).defined()) name = prefix + "hidden_states." + std::to_string(k);
    const at::Tensor expected = reference("outputs", name, wide);
    if (!expected.defined()) continue;
    // Rows of padding are computed by the original but mean nothing: ours stand in for them.
    at::Tensor padded = expected.to(at::kDouble).clone().view({-1, spec_.hidden});
    padded.index_copy_(0, rows, hidden[k].detach().to(at::kDouble));
    compare("outputs", name, padded, kOutputs.wide, kOutputs.narrow);
  }
}

void GoldenCase::check_summary(const std::string& prefix, const at::Tensor& last, const at::Tensor& rows) {
  const at::Tensor wide_last = last.detach().to(at::kDouble);
  const std::pair<std::string, at::Tensor> summaries[] = {{"first8", wide_last.slice(1, 0, 8)},
                                                          {"norm", wide_last.norm(2, 1).unsqueeze(1)},
                                                          {"sum", wide_last.sum(1).unsqueeze(1)}};
  for (const auto& [name, values] : summaries) {
    bool wide = false;
    const at::Tensor expected = reference("outputs", prefix + name, wide);
    if (!expected.defined()) continue;
    at::Tensor padded = at::zeros({expected.numel() / values.size(1), values.size(1)}, at::kDouble);
    padded.index_copy_(0, rows, values);
    compare("outputs", prefix + name, padded, kOutputs.wide, kOutputs.narrow);
  }
}

void GoldenCase::check_forward_backward() {
  const PackedInput input = pack("");
  const std::vector<data::Pair> pairs{pair()};
  if (plain_) {
    std::vector<at::Tensor> hidden;
    plain_->begin_step(pairs, false);
    plain_->logits(input.all, &hidden);
    check_summary("plain.", hidden.back(), input.rows);
  }
  model_->begin_step(pairs, false);
  std::vector<at::Tensor> hidden;
  const std::vector<at::Tensor> logits = model_->logits(input.all, &hidden);
  check_hidden("", hidden, input.rows);
  check_summary("hyperx.", hidden.back(), input.rows);
  bool wide = false;
  const at::Tensor expected = reference("outputs", "logits", wide);
  if (expected.defined()) {
    at::Tensor padded = expected.to(at::kDouble).clone().view({-1, expected.size(-1)});
    padded.index_copy_(0, input.rows, logits[0].to(at::kDouble));
    compare("outputs", "logits", padded, kOutputs.wide, kOutputs.narrow);
  }
  if (reference("outputs", "mlm_logits", wide).defined())
    compare("outputs", "mlm_logits", model_->logits(input.labelled)[0], kOutputs.wide, kOutputs.narrow);

  model_->begin_step(pairs, true);
  const at::Tensor loss = model_->loss(input.labelled, {});
  compare("outputs", "loss", loss, kLoss.wide, kLoss.narrow);
  loss.backward();
  check_gradients();
  check_swapped(input);
}

void GoldenCase::check_gradients() {
  if (model::HyperX* const hyperx = model::hyperx_of(*model_)) {
    const model::GeneratorGradient generator = hyperx->block().dense_gradient();
    const at::Tensor& sources = model::hyperx_of(*model_)->sources();
    sources.backward(generator.source_gradient.to(sources.scalar_type()));
    check_adapters(generator);
    for (const auto& view : model::hyperx_of(*model_)->hypernetwork().named_views_of(generator.dense))
      gradients_[view.name] = view.value;
  }
  for (const auto& parameter : model_->parameters().all())
    if (parameter->used) gradients_[parameter->name] = parameter->gradient;

  for (const std::string& part : {std::string("grads/"), std::string("grads64/")})
    for (const std::string& name : arrays_->names()) {
      if (name.rfind(part, 0) != 0) continue;
      const std::string original = name.substr(part.size());
      if (part == "grads/" && arrays_->has("grads64/" + original)) continue;
      const auto it = gradients_.find(our_name(original));
      if (it == gradients_.end()) {
        deviations_.push_back({"grads/" + original + " (we have none)", std::nan(""), std::nan(""), 0, false});
        continue;
      }
      const bool zero = is_key_bias(original) || (json_.contains("analytically_zero_grads") &&
                                                  json_["analytically_zero_grads"].contains(original));
      if (zero) {
        compare("grads", original, it->second, kZeroGradient, kZeroGradient, true);
      } else {
        compare("grads", original, it->second, kGradients.wide, kGradients.narrow);
      }
    }
  // What the pair does not use must have no gradient at all.
  if (json_.contains("no_grad"))
    for (const std::string& original : strings(json_.at("no_grad"))) {
      const model::Parameter* parameter = model_->parameters().find(our_name(original));
      if (parameter != nullptr && parameter->used)
        deviations_.push_back({"no_grad/" + original + " (we have one)", std::nan(""), std::nan(""), 0, false});
    }
}

void GoldenCase::check_adapters(const model::GeneratorGradient& generator) {
  const model::HyperX& hyperx = *model::hyperx_of(*model_);
  const model::Hypernetwork& hypernetwork = hyperx.hypernetwork();
  for (int64_t layer = 0; layer < spec_.layers; ++layer) {
    const std::string prefix = "layer." + std::to_string(layer) + ".";
    const int64_t row = hypernetwork.has_layer_embedding() ? layer : 0;
    compare("outputs", prefix + "source", hyperx.sources()[row], kOutputs.wide, kOutputs.narrow);
    // Without a layer embedding all layers read one vector; what is stored is each layer's own part of its gradient.
    const at::Tensor source_gradient =
        hypernetwork.has_layer_embedding()
            ? generator.source_gradient[row]
            : model::factor_sums(
                  hypernetwork.generators()[static_cast<size_t>(layer)].weight,
                  hypernetwork.rows_of_group(model::hyperx_of(*model_)->theta_gradient(), static_cast<size_t>(layer)))
                  .source_gradient;
    compare("outputs", prefix + "source.grad", source_gradient, kGradients.wide, kGradients.narrow);
    for (const model::ThetaPart& part : hypernetwork.parts()) {
      std::string name = part.name;
      if (name.rfind("norm_before_", 0) == 0) name = "pre_ln_" + name.substr(12);
      if (name.rfind("norm_after_", 0) == 0) name = "post_ln_" + name.substr(11);
      compare("outputs", prefix + name, hyperx.theta()[0][layer].narrow(0, part.begin, part.size()), kOutputs.wide,
              kOutputs.narrow);
      compare("outputs", prefix + name + ".grad",
              model::hyperx_of(*model_)->theta_gradient()[0][layer].narrow(0, part.begin, part.size()), kGradients.wide,
              kGradients.narrow);
    }
  }
}

}  // namespace hyperx::golden

#include "model/model.h"

#include <torch/torch.h>

#include "common/errors.h"

namespace hyperx::model {
namespace {

at::Tensor as_tensor(const std::vector<int64_t>& values, at::Device device) {
  return torch::tensor(at::ArrayRef<int64_t>(values), torch::kLong).to(device);
}

}  // namespace

Model::Model(const EncoderWeights& encoder, ModelOptions options) : options_(std::move(options)) {
  const at::ScalarType master = options_.compute == at::kDouble ? at::kDouble : at::kFloat;
  const ModelConfig& config = options_.config;
  const bool train_all = config.method == "mbert";
  encoder_ = std::make_unique<Encoder>(encoder, parameters_, train_all, options_.compute, options_.device);
  if (config.method == "hyperx") {
    std::vector<std::string> tasks;
    for (const data::TaskInfo& task : options_.tasks) tasks.push_back(task.name);
    auto method =
        std::make_unique<HyperX>(config, encoder.spec.hidden, encoder.spec.layers, tasks, options_.languages,
                                 options_.seed, master, options_.compute, options_.device, options_.shard, parameters_);
    hyperx_ = method.get();
    method_ = std::move(method);
  } else {
    HYPERX_CHECK(train_all, "validate() lets no other method through");
    method_ = std::make_unique<NoAdapter>();
  }
  heads_ = std::make_unique<Heads>(options_.tasks, encoder, config.mlm_decoder == "trained", options_.seed, master,
                                   options_.device, parameters_);
  parameters_.bind_gradients();
}

PackedBatch Model::pack(const data::Batch& batch) const {
  PackedBatch packed;
  const at::Device device = options_.device;
  packed.input.input_ids = as_tensor(batch.input_ids, device);
  packed.input.positions = as_tensor(batch.positions, device);
  packed.input.sentence_starts = torch::tensor(at::ArrayRef<int32_t>(batch.sentence_starts), torch::kInt);
  std::vector<int64_t> slots;
  slots.reserve(batch.input_ids.size());
  for (size_t s = 0; s < batch.sentence_slots.size(); ++s)
    slots.insert(slots.end(), static_cast<size_t>(batch.sentence_starts[s + 1] - batch.sentence_starts[s]),
                 batch.sentence_slots[s]);
  packed.input.row_keys = {as_tensor(slots, device), packed.input.positions};
  packed.label_positions = as_tensor(batch.label_positions, device);
  packed.labels = as_tensor(batch.labels, device);
  for (const data::Segment& segment : batch.segments) {
    packed.input.pairs.push_back({segment.draw, segment.token_begin, segment.token_end});
    packed.parts.push_back({segment.draw, segment.label_begin, segment.label_end, segment.label_count});
  }
  return packed;
}

void Model::begin_step(const std::vector<data::Pair>& pairs, bool training) {
  step_pairs_ = pairs;
  method_->begin_step(pairs, training);
  if (!training) return;
  parameters_.begin_step();
  parameters_.use_group("layer_norms");
  if (options_.config.method == "mbert") parameters_.use_group("encoder");
  if (hyperx_ != nullptr) hyperx_->hypernetwork().mark_used(pairs, parameters_);
  if (options_.config.adapter_norm_before == "plain" || options_.config.adapter_norm_after == "plain")
    if (hyperx_ != nullptr) parameters_.use_group("adapter_norms");
  for (const data::Pair& pair : pairs) parameters_.use_group("heads." + pair.task);
}

at::Tensor Model::part_logits(const PackedBatch& batch, const PackedBatch::Part& part, const at::Tensor& hidden,
                              const DropoutStream& dropout) const {
  const std::string& task = step_pairs_.at(static_cast<size_t>(part.pair)).task;
  const at::Tensor positions = batch.label_positions.narrow(0, part.label_begin, part.label_end - part.label_begin);
  const at::Tensor rows = hidden.index_select(0, positions);
  if (task == "mlm" && !decoder_.defined()) decoder_ = encoder_->word_embeddings().to(options_.compute);
  const RowKeys keys{batch.input.row_keys.slots.index_select(0, positions),
                     batch.input.row_keys.positions.index_select(0, positions)};
  return heads_->logits(task, rows, keys, options_.config.dropout, dropout, decoder_);
}

at::Tensor Model::loss(const PackedBatch& batch, const DropoutStream& dropout, std::vector<at::Tensor>* part_losses,
                       std::vector<at::Tensor>* hidden_states) {
  const DropoutRates rates{options_.config.dropout, options_.config.attention_dropout};
  const at::Tensor hidden = encoder_->forward(batch.input, *method_, rates, dropout, hidden_states);
  at::Tensor total;
  for (const PackedBatch::Part& part : batch.parts) {
    const int64_t count = part.label_end - part.label_begin;
    if (count == 0) {
      if (part_losses != nullptr)
        part_losses->push_back(torch::zeros({}, hidden.options().dtype(at::kDouble).requires_grad(false)));
      continue;
    }
    const at::Tensor labels = batch.labels.narrow(0, part.label_begin, count);
    const at::Tensor sum =
        torch::nn::functional::cross_entropy(part_logits(batch, part, hidden, dropout), labels,
                                             torch::nn::functional::CrossEntropyFuncOptions().reduction(torch::kSum));
    const at::Tensor term = sum / static_cast<double>(part.label_count * static_cast<int64_t>(step_pairs_.size()));
    total = total.defined() ? total + term : term;
    if (part_losses != nullptr)
      part_losses->push_back(sum.detach().to(at::kDouble) / static_cast<double>(part.label_count));
  }
  return total;
}

std::vector<at::Tensor> Model::logits(const PackedBatch& batch, std::vector<at::Tensor>* hidden_states) {
  at::NoGradGuard no_gradient;
  const at::Tensor hidden = encoder_->forward(batch.input, *method_, {}, {}, hidden_states);
  std::vector<at::Tensor> parts;
  for (const PackedBatch::Part& part : batch.parts) parts.push_back(part_logits(batch, part, hidden, {}));
  return parts;
}

std::vector<Hypernetwork::NamedView> Model::named_tensors() const {
  std::vector<Hypernetwork::NamedView> tensors;
  for (const auto& parameter : parameters_.all()) tensors.push_back({parameter->name, parameter->value.detach()});
  if (hyperx_ != nullptr)
    for (const Hypernetwork::NamedView& view : hyperx_->hypernetwork().named_views()) tensors.push_back(view);
  return tensors;
}

int64_t Model::trained_element_count() const {
  return parameters_.element_count() + (hyperx_ == nullptr ? 0 : hyperx_->hypernetwork().element_count());
}

}  // namespace hyperx::model

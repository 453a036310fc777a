#include "model/model.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "common/errors.h"
#include "model/ops/own_kernels.h"

namespace hyperx::model {
namespace {

constexpr int64_t kFlashHeadStep = 8, kFlashMostHead = 256;

// Adds the figures of a pair's part of a batch to its column, [kFigures]: `sum` of its losses, and its rows' last
// hidden states [labels, hidden], of which those without a label (fillers of a CUDA graph) do not count, nor does a
// single one.
void add_figures(at::Tensor column, const at::Tensor& sum, const at::Tensor& label_count, const at::Tensor& states,
                 const at::Tensor& labels) {
  const at::NoGradGuard no_gradient;
  column[kLoss] += sum.detach().to(at::kDouble) / label_count;
  const at::Tensor counted = (labels != data::kNoLabel).to(at::kFloat).unsqueeze(1), count = counted.sum();
  const at::Tensor rows = states.detach().to(at::kFloat) * counted * (count > 1);
  const at::Tensor mean = rows.sum(0) / count.clamp_min(1);
  column[kDeviations] += ((rows - mean) * counted).square().sum();
  column[kSquares] += rows.square().sum();
}

}  // namespace

Model::Model(const EncoderWeights& encoder, ModelOptions options) : options_(std::move(options)) {
  const at::ScalarType master = options_.compute == at::kDouble ? at::kDouble : at::kFloat;
  const Config& config = options_.config;
  const MethodRow& row = find_method(config.model.method);
  trains_ = row.spec.trains;
  const int64_t head_size = encoder.spec.hidden / encoder.spec.heads;
  if (options_.device.is_cuda() && options_.compute == at::kBFloat16 &&
      (head_size % kFlashHeadStep != 0 || head_size > kFlashMostHead))
    throw UserError(
        ExitCode::kBadConfig,
        "the encoder's heads are " + std::to_string(head_size) +
            " features wide, and flash attention takes multiples of 8 up to 256: set train.precision = fp32");
  encoder_ = std::make_unique<Encoder>(encoder, parameters_, trains_, options_.compute, options_.device);
  method_ = row.make({config, encoder.spec, options_.tasks, options_.languages, master, options_.compute,
                      options_.device, options_.ranks, options_.needed, options_.pairs,
                      options_.steps > 0 ? options_.steps : config.train.steps, parameters_});
  options_.needed.clear();  // the method has what it uses
  for (const auto& task : options_.tasks)
    heads_[task->name()] =
        make_head({*task, encoder, *encoder_, config, row.spec.makes_heads, master, options_.device, parameters_});
  parameters_.bind();
}

FlatBatch Model::flatten(const data::Batch& batch, const DropoutStream& dropout) const {
  FlatBatch flat;
  flat.tokens = batch.tokens();
  flat.sentences = batch.sentences();
  flat.labels = std::ssize(batch.labels);
  flat.tree = batch.tree;
  std::vector<int64_t> counts, keys;
  for (const data::Segment& segment : batch.segments) {
    flat.pairs.push_back({segment.draw, segment.token_begin, segment.token_end});
    flat.parts.push_back({segment.draw, segment.label_begin, segment.label_end});
    counts.push_back(std::max<int64_t>(1, segment.label_count));  // no label: the loss is 0 and not 0 / 0
  }
  const bool on_gpu = !options_.device.is_cpu();
  if (on_gpu && dropout.active) keys = dropout.key_table(encoder_->spec().layers);
  flat.keys = std::ssize(keys);
  const int64_t size =
      3 * flat.tokens + flat.sentences + 1 + (flat.tree ? 3 : 2) * flat.labels + std::ssize(counts) + std::ssize(keys);
  flat.values = at::empty({size}, at::TensorOptions().dtype(at::kLong).pinned_memory(on_gpu));
  int64_t* out = flat.values.data_ptr<int64_t>();
  const auto append = [&](const auto& numbers) { out = std::copy(numbers.begin(), numbers.end(), out); };
  append(batch.input_ids);
  append(batch.positions);
  for (size_t s = 0; s < batch.sentence_slots.size(); ++s) {
    const int64_t length = batch.sentence_starts[s + 1] - batch.sentence_starts[s];
    flat.longest = std::max(flat.longest, length);
    out = std::fill_n(out, length, batch.sentence_slots[s]);
  }
  append(batch.sentence_starts);
  append(batch.label_positions);
  append(batch.labels);
  if (flat.tree) append(batch.label_words);
  append(counts);
  append(keys);
  return flat;
}

PackedBatch Model::views_of(const FlatBatch& flat, const at::Tensor& values, const at::Tensor& host_starts) const {
  PackedBatch packed;
  int64_t begin = 0;
  const auto next = [&](int64_t count) {
    begin += count;
    return values.narrow(0, begin - count, count);
  };
  packed.input.input_ids = next(flat.tokens);
  packed.input.positions = next(flat.tokens);
  packed.input.row_keys = {next(flat.tokens), packed.input.positions};
  const at::Tensor starts = next(flat.sentences + 1);
  packed.input.sentence_starts.host = host_starts;
  packed.input.sentence_starts.longest = flat.longest;
  if (!values.is_cpu()) packed.input.sentence_starts.on_device = starts.to(at::kInt);
  packed.input.output_rows = next(flat.labels);
  packed.labels = next(flat.labels);
  if (flat.tree) packed.words = next(flat.labels);
  packed.label_counts = next(std::ssize(flat.parts));
  if (flat.keys > 0) packed.dropout_keys = next(flat.keys);
  packed.input.pairs = flat.pairs;
  packed.parts = flat.parts;
  for (const PackedBatch::Part& part : flat.parts)
    packed.input.output_pairs.push_back({part.pair, part.label_begin, part.label_end});
  return packed;
}

PackedBatch Model::pack(const data::Batch& batch, const DropoutStream& dropout) const {
  const FlatBatch flat = flatten(batch, dropout);
  return views_of(flat, flat.values.to(options_.device, at::kLong, true),
                  at::tensor(at::ArrayRef<int32_t>(batch.sentence_starts), at::kInt));
}

void Model::begin_step(const std::vector<data::Pair>& pairs, bool training, int64_t step) {
  step_pairs_ = pairs;
  if (training) {
    parameters_.begin_step();
    if (trains_ != EncoderTraining::kNothing) parameters_.use_group("layer_norms");
    if (trains_ == EncoderTraining::kAll) parameters_.use_group("encoder");
    for (const data::Pair& pair : pairs) parameters_.use_group(group_of_head(pair.task));
  }
  method_->select(pairs, training, step);
}

const Head& Model::head_of(const PackedBatch::Part& part) const {
  const std::string& task = step_pairs_.at(static_cast<size_t>(part.pair)).task;
  const auto found = heads_.find(task);
  if (found == heads_.end()) throw UserError(ExitCode::kBadConfig, "the model has no head for the task '" + task + "'");
  return *found->second;
}

HeadInput Model::input_of(const PackedBatch& batch, const PackedBatch::Part& part, const at::Tensor& outputs,
                          const DropoutStream& dropout) {
  const int64_t count = part.label_end - part.label_begin;
  HeadInput input{outputs.narrow(0, part.label_begin, count), *method_, part.pair};
  if (batch.words.defined()) input.words = batch.words.narrow(0, part.label_begin, count);
  if (dropout.active)
    input.dropout = SiteDropout{batch.input.row_keys, options_.config.model.dropout, dropout.key(kSiteHead)}.of_rows(
        batch.input.output_rows.narrow(0, part.label_begin, count));
  return input;
}

at::Tensor Model::loss(const PackedBatch& batch, const DropoutStream& given, at::Tensor* figures,
                       std::vector<at::Tensor>* hidden_states) {
  DropoutStream dropout = given;
  const DropoutRates rates{options_.config.model.dropout, options_.config.model.attention_dropout};
  if (dropout.active) dropout.table = batch.dropout_keys;
  if (dropout.table.defined() && rates.hidden > 0 && !own_kernels())
    dropout.draw_masks(batch.input.row_keys, encoder_->spec().hidden, rates.hidden);
  const at::Tensor outputs = encoder_->forward(batch.input, *method_, rates, dropout, hidden_states);
  at::Tensor total;
  for (size_t i = 0; i < batch.parts.size(); ++i) {
    const PackedBatch::Part& part = batch.parts[i];
    const int64_t count = part.label_end - part.label_begin;
    if (count == 0) continue;
    const at::Tensor labels = batch.labels.narrow(0, part.label_begin, count);
    const at::Tensor sum = head_of(part).loss(input_of(batch, part, outputs, dropout), labels, at::Reduction::Sum);
    const at::Tensor label_count = batch.label_counts[static_cast<int64_t>(i)];
    const at::Tensor term = sum / (method_->loss_divisor(label_count) * std::ssize(step_pairs_));
    total = total.defined() ? total + term : term;
    if (figures != nullptr)
      add_figures(figures->select(1, part.pair), sum, label_count, outputs.narrow(0, part.label_begin, count), labels);
  }
  return total;
}

std::vector<at::Tensor> Model::for_each_part(const PackedBatch& batch, std::vector<at::Tensor>* hidden_states,
                                             const PartFunction& function) {
  at::NoGradGuard no_gradient;
  const at::Tensor outputs = encoder_->forward(batch.input, *method_, {}, {}, hidden_states);
  std::vector<at::Tensor> found;
  for (const PackedBatch::Part& part : batch.parts)
    found.push_back(function(head_of(part), input_of(batch, part, outputs, {}), part));
  return found;
}

std::vector<at::Tensor> Model::predict(const PackedBatch& batch) {
  return for_each_part(batch, nullptr,
                       [](const Head& head, const HeadInput& input, const auto&) { return head.predict(input); });
}

std::vector<at::Tensor> Model::losses(const PackedBatch& batch) {
  return for_each_part(batch, nullptr, [&](const Head& head, const HeadInput& input, const PackedBatch::Part& part) {
    const at::Tensor labels = batch.labels.narrow(0, part.label_begin, part.label_end - part.label_begin);
    return head.loss(input, labels, at::Reduction::None);
  });
}

std::vector<at::Tensor> Model::logits(const PackedBatch& batch, std::vector<at::Tensor>* hidden_states) {
  return for_each_part(batch, hidden_states,
                       [](const Head& head, const HeadInput& input, const auto&) { return head.logits(input); });
}

}  // namespace hyperx::model

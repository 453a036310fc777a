#include "model/ops/cpu/dropout.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

#include "common/errors.h"
#include "model/ops/cpu/philox_lanes.h"
#include "model/ops/cuda/cuda_ops.h"
#include "model/ops/own_kernels.h"

namespace hyperx::model {
namespace {

constexpr int64_t kChunk = 8 * kPhiloxLanes;  // features per call of the random generator
constexpr int64_t kWord = 0xFFFFFFFF;
constexpr int64_t kSitesBeside = 2;  // embeddings and heads
// Sites that draw_masks() draws for: these of each layer, which have the lowest numbers, and the kSitesBeside.
constexpr int64_t kMasksPerLayer = 2;
static_assert(kSiteAttentionOutput < kMasksPerLayer && kSiteFeedForwardOutput < kMasksPerLayer);
constexpr int64_t kBlocksAtOnce = int64_t{1} << 22;  // of 8 features: 32 MiB per intermediate tensor

// One row: out = (x + bias) * mask. Computed in type C, stored in type T.
template <class T, class C>
HYPERX_INLINE void dropout_row(const T* HYPERX_RESTRICT x, const T* HYPERX_RESTRICT bias, T* HYPERX_RESTRICT out,
                               int64_t width, uint32_t position, uint64_t slot, PhiloxKey key, uint32_t threshold,
                               C scale) {
  C mask[kChunk];
  for (int64_t begin = 0; begin < width; begin += kChunk) {
    const int count = static_cast<int>(std::min(kChunk, width - begin));
    keep_mask<C>(static_cast<uint32_t>(begin / 8), position, slot, key, threshold, scale, count, mask);
    if (bias == nullptr) {
      for (int i = 0; i < count; ++i) out[begin + i] = static_cast<T>(static_cast<C>(x[begin + i]) * mask[i]);
    } else {
      for (int i = 0; i < count; ++i)
        out[begin + i] = static_cast<T>((static_cast<C>(x[begin + i]) + static_cast<C>(bias[begin + i])) * mask[i]);
    }
  }
}

struct RowRange {
  int64_t begin, end, width;
  const int64_t *slots, *positions;
  PhiloxKey key;
  uint32_t threshold;
  double scale;
};

template <class T, class C>
HYPERX_INLINE void dropout_rows(const RowRange& range, const T* x, const T* bias, T* out) {
  for (int64_t row = range.begin; row < range.end; ++row)
    dropout_row<T, C>(x + row * range.width, bias, out + row * range.width, range.width,
                      static_cast<uint32_t>(range.positions[row]), static_cast<uint64_t>(range.slots[row]), range.key,
                      range.threshold, static_cast<C>(range.scale));
}

HYPERX_MULTIVERSION void rows_of(const RowRange& range, const float* x, const float* bias, float* out) {
  dropout_rows<float, float>(range, x, bias, out);
}
HYPERX_MULTIVERSION void rows_of(const RowRange& range, const double* x, const double* bias, double* out) {
  dropout_rows<double, double>(range, x, bias, out);
}
HYPERX_MULTIVERSION void rows_of(const RowRange& range, const c10::BFloat16* x, const c10::BFloat16* bias,
                                 c10::BFloat16* out) {
  dropout_rows<c10::BFloat16, float>(range, x, bias, out);
}

template <class T>
void dropout_cpu(const at::Tensor& x, const at::Tensor& bias, const RowKeys& rows, double probability, PhiloxKey key,
                 at::Tensor& out) {
  const T* const bias_data = bias.defined() ? bias.const_data_ptr<T>() : nullptr;
  const T* const x_data = x.const_data_ptr<T>();
  T* const out_data = out.data_ptr<T>();
  const int64_t* const slots = rows.slots.const_data_ptr<int64_t>();
  const int64_t* const positions = rows.positions.const_data_ptr<int64_t>();
  at::parallel_for(0, x.size(0), 8, [&](int64_t begin, int64_t end) {
    rows_of(RowRange{begin, end, x.size(1), slots, positions, key, dropout_threshold(probability),
                     dropout_scale(probability)},
            x_data, bias_data, out_data);
  });
}

// Without autograd.
at::Tensor apply_mask(const at::Tensor& x, const at::Tensor& bias, const RowKeys& rows, double probability,
                      PhiloxKey key) {
  HYPERX_CHECK(x.dim() == 2 && rows.slots.numel() == x.size(0), "dropout takes [rows, width] and a key a row");
  const at::Tensor input = x.contiguous();
  const at::Tensor added = bias.defined() ? bias.contiguous() : bias;
  at::Tensor out = at::empty_like(input);
  AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, x.scalar_type(), "dropout",
                                 [&] { dropout_cpu<scalar_t>(input, added, rows, probability, key, out); });
  return out;
}

class KeyedDropout : public torch::autograd::Function<KeyedDropout> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const std::optional<at::Tensor>& bias, const at::Tensor& slots, const at::Tensor& positions,
                            double probability, int64_t key) {
    RECORD_FUNCTION("hyperx::elementwise", std::vector<c10::IValue>());
    context->save_for_backward({slots, positions});
    context->saved_data["probability"] = probability;
    context->saved_data["key"] = key;
    context->saved_data["bias"] = bias.has_value() && bias->requires_grad();
    return apply_mask(x, bias.value_or(at::Tensor()), {slots, positions}, probability,
                      philox_key(static_cast<uint64_t>(key)));
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor gradient =
        apply_mask(gradients[0], {}, {saved[0], saved[1]}, context->saved_data["probability"].toDouble(),
                   philox_key(static_cast<uint64_t>(context->saved_data["key"].toInt())));
    return {gradient, context->saved_data["bias"].toBool() ? gradient.sum(0) : at::Tensor(), {}, {}, {}, {}};
  }
};

// High and low word of the 64-bit product of 32-bit values stored in int64 tensors (which cannot hold it unsigned):
// multiplies by both halves of the factor and carries the low half of the upper product into the lower one.
std::pair<at::Tensor, at::Tensor> multiply_wide(const at::Tensor& value, uint32_t factor) {
  const at::Tensor upper = value * int64_t{factor >> 16};
  const at::Tensor lower = value * int64_t{factor & 0xFFFF} + upper.bitwise_and(0xFFFF).bitwise_left_shift(16);
  return {upper.bitwise_right_shift(16) + lower.bitwise_right_shift(32), lower.bitwise_and(kWord)};
}

// [sites, rows, 8 blocks] bool: the values dropped under the `keys` [sites] int64 (as bits), for the `blocks` [blocks]
// int64 of 8 features each. On the device of keys and blocks.
at::Tensor draw_dropped(const at::Tensor& keys, const RowKeys& rows, const at::Tensor& blocks, double probability) {
  const at::Tensor slots = rows.slots.to(keys.device()).view({1, -1, 1});
  at::Tensor x0 = blocks.view({1, 1, -1});
  at::Tensor x1 = rows.positions.to(keys.device()).view({1, -1, 1});
  at::Tensor x2 = slots.bitwise_and(kWord), x3 = slots.bitwise_right_shift(32).bitwise_and(kWord);
  const at::Tensor rounds = at::arange(kPhiloxRounds, keys.options()).view({-1, 1, 1, 1});
  const auto key_of_rounds = [&](const at::Tensor& word, uint32_t weyl) {
    return (word.bitwise_and(kWord).view({-1, 1, 1}) + rounds * int64_t{weyl}).bitwise_and(kWord).unbind(0);
  };
  const std::vector<at::Tensor> k0 = key_of_rounds(keys, kPhiloxWeyl0);
  const std::vector<at::Tensor> k1 = key_of_rounds(keys.bitwise_right_shift(32), kPhiloxWeyl1);
  for (size_t round = 0; round < kPhiloxRounds; ++round) {
    const auto [high0, low0] = multiply_wide(x0, kPhiloxMultiplier0);
    const auto [high1, low1] = multiply_wide(x2, kPhiloxMultiplier1);
    x0 = high1.bitwise_xor(x1).bitwise_xor(k0[round]);
    x2 = high0.bitwise_xor(x3).bitwise_xor(k1[round]);
    x1 = low1;
    x3 = low0;
  }
  const int64_t threshold = dropout_threshold(probability);
  std::vector<at::Tensor> halves;
  for (const at::Tensor& word : {x0, x1, x2, x3}) {
    halves.push_back(word.bitwise_and(0xFFFF).lt(threshold));
    halves.push_back(word.lt(threshold << 16));  // the upper half
  }
  return at::stack(halves, 3).flatten(2);
}

at::Tensor blocks_of(int64_t width, at::Device device) {
  return at::arange((width + 7) / 8, at::TensorOptions(at::kLong).device(device));
}

// [rows, 8 blocks] bool, for one site.
at::Tensor draw_dropped(const SiteDropout& dropout, const at::Tensor& blocks) {
  const at::Tensor key = dropout.key.on_device.defined()
                             ? dropout.key.on_device.view({1})
                             : at::full({1}, static_cast<int64_t>(key_bits(dropout.key.host)), blocks.options());
  return draw_dropped(key, dropout.rows, blocks, dropout.probability)[0];
}

at::Tensor mask_of(const at::Tensor& dropped, double probability, const at::TensorOptions& options) {
  return dropped.logical_not().to(options.dtype()) * dropout_scale(probability);
}

}  // namespace

DropoutKey DropoutStream::key(int64_t site) const {
  const DropoutKey key{philox_key(
      derive_key(derive_key(seed, "dropout", static_cast<uint64_t>(step)), "site", static_cast<uint64_t>(site)))};
  if (!table.defined()) return key;
  const bool beside = site >= kSiteEmbeddings;
  const int64_t layers = (table.numel() - kSitesBeside) / kSitesPerLayer;
  DropoutKey on_device{key.host, table[beside ? layers * kSitesPerLayer + site - kSiteEmbeddings : site]};
  if (!dropped.defined() || (!beside && site % kSitesPerLayer >= kMasksPerLayer)) return on_device;
  on_device.dropped = dropped[beside ? layers * kMasksPerLayer + site - kSiteEmbeddings
                                     : site / kSitesPerLayer * kMasksPerLayer + site % kSitesPerLayer];
  return on_device;
}

void DropoutStream::draw_masks(const RowKeys& rows, int64_t width, double probability) {
  HYPERX_CHECK(table.defined(), "masks of all sites are drawn from the table of their keys");
  const int64_t beside = table.numel() - kSitesBeside;
  const at::Tensor of_layers = table.narrow(0, 0, beside).view({-1, kSitesPerLayer}).narrow(1, 0, kMasksPerLayer);
  const at::Tensor keys = at::cat({of_layers.reshape({-1}), table.narrow(0, beside, kSitesBeside)});
  const at::Tensor blocks = blocks_of(width, table.device());
  std::vector<at::Tensor> parts;
  for (const at::Tensor& some : keys.split(std::max<int64_t>(1, kBlocksAtOnce / (rows.slots.numel() * blocks.numel()))))
    parts.push_back(draw_dropped(some, rows, blocks, probability).narrow(2, 0, width));
  dropped = parts.size() == 1 ? parts[0] : at::cat(parts);
}

SiteDropout SiteDropout::of_rows(const at::Tensor& indices) const {
  if (probability == 0) return {};
  SiteDropout part{{rows.slots.index_select(0, indices), rows.positions.index_select(0, indices)}, probability, key};
  if (key.dropped.defined()) part.key.dropped = key.dropped.index_select(0, indices);
  return part;
}

std::vector<int64_t> DropoutStream::key_table(int64_t layers) const {
  const DropoutStream stream{seed, step, active};
  std::vector<int64_t> bits;
  for (int64_t i = 0; i < layers * kSitesPerLayer + kSitesBeside; ++i) {
    const int64_t beside = i - layers * kSitesPerLayer;
    bits.push_back(static_cast<int64_t>(key_bits(stream.key(beside < 0 ? i : kSiteEmbeddings + beside).host)));
  }
  return bits;
}

uint32_t dropout_threshold(double probability) { return static_cast<uint32_t>(std::lround(probability * 65536.0)); }

double dropout_scale(double probability) { return 65536.0 / (65536.0 - dropout_threshold(probability)); }

at::Tensor keyed_dropout(const at::Tensor& x, const at::Tensor& bias, const SiteDropout& dropout) {
  if (dropout.probability == 0) return bias.defined() ? x + bias : x;
  if constexpr (kHasOwnKernels)
    if (own_kernels_take(x)) return cuda_keyed_dropout(x, bias, dropout);
  if (!x.is_cpu()) return dropout_by_operations(bias.defined() ? x + bias : x, dropout);
  return KeyedDropout::apply(x, bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt, dropout.rows.slots,
                             dropout.rows.positions, dropout.probability,
                             static_cast<int64_t>(key_bits(dropout.key.host)));
}

at::Tensor dropout_by_operations(const at::Tensor& x, const SiteDropout& dropout) {
  if (dropout.probability == 0) return x;
  at::Tensor dropped = dropout.key.dropped;
  if (!dropped.defined()) dropped = draw_dropped(dropout, blocks_of(x.size(1), x.device())).narrow(1, 0, x.size(1));
  return x.masked_fill(dropped, 0) * dropout_scale(dropout.probability);
}

at::Tensor keyed_dropout_mask(const SiteDropout& dropout, int64_t width, const at::TensorOptions& options) {
  const at::Tensor dropped = draw_dropped(dropout, blocks_of(width, options.device())).narrow(1, 0, width);
  return mask_of(dropped, dropout.probability, options);
}

at::Tensor attention_dropout_mask(const SiteDropout& dropout, int64_t heads, int64_t length,
                                  const at::TensorOptions& options) {
  const at::Tensor own = blocks_of(length, options.device());
  const at::Tensor first = at::arange(heads, own.options()) * (kFeaturesPerHead / 8);
  const at::Tensor dropped = draw_dropped(dropout, (first.unsqueeze(1) + own).flatten());  // [rows, heads 8 blocks]
  return mask_of(dropped.view({dropped.size(0), heads, -1}).narrow(2, 0, length).transpose(0, 1), dropout.probability,
                 options);
}

}  // namespace hyperx::model

#include "model/ops/dropout.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "common/errors.h"
#include "model/ops/cuda_ops.h"
#include "model/ops/own_kernels.h"
#include "model/ops/philox_lanes.h"

namespace hyperx::model {
namespace {

constexpr int64_t kChunk = 8 * kPhiloxLanes;  // features of one call of the generator
constexpr int64_t kWord = 0xFFFFFFFF;
constexpr int64_t kSitesBeside = 2;  // embeddings and heads

// One row: out = (x + bias) * mask. Type C computes, T is stored.
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

// High and low word of the 64-bit product of 32-bit values held in int64 tensors (which cannot hold it unsigned).
std::pair<at::Tensor, at::Tensor> multiply_wide(const at::Tensor& value, uint32_t factor) {
  const int64_t low_factor = factor & 0xFFFF, high_factor = factor >> 16;
  const at::Tensor low = value.bitwise_and(0xFFFF), high = value.bitwise_right_shift(16);
  const at::Tensor low_low = low * low_factor;
  const at::Tensor middle = high * low_factor + low_low.bitwise_right_shift(16);
  const at::Tensor middle2 = low * high_factor + middle.bitwise_and(0xFFFF);
  const at::Tensor product_low =
      middle2.bitwise_and(0xFFFF).bitwise_left_shift(16).bitwise_or(low_low.bitwise_and(0xFFFF));
  const at::Tensor product_high = high * high_factor + middle.bitwise_right_shift(16) + middle2.bitwise_right_shift(16);
  return {product_high, product_low};
}

}  // namespace

DropoutKey DropoutStream::key(int64_t site) const {
  const DropoutKey key{philox_key(
      derive_key(derive_key(seed, "dropout", static_cast<uint64_t>(step)), "site", static_cast<uint64_t>(site)))};
  if (!table.defined()) return key;
  return {key.host, table[site < kSiteEmbeddings ? site : table.numel() - kSitesBeside + site - kSiteEmbeddings]};
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

at::Tensor keyed_dropout(const at::Tensor& x, const at::Tensor& bias, const RowKeys& rows, double probability,
                         const DropoutKey& key) {
  if constexpr (kHasOwnKernels)
    if (own_kernels_take(x)) return cuda_keyed_dropout(x, bias, rows, probability, key);
  if (!x.is_cpu())
    return (bias.defined() ? x + bias : x) *
           keyed_dropout_mask(rows, x.size(1), probability, key, x.options().requires_grad(false));
  return KeyedDropout::apply(x, bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt, rows.slots,
                             rows.positions, probability, static_cast<int64_t>(key_bits(key.host)));
}

at::Tensor keyed_dropout_mask(const RowKeys& rows, int64_t width, double probability, const DropoutKey& key,
                              const at::TensorOptions& options, int64_t first_feature) {
  HYPERX_CHECK(first_feature % 8 == 0, "masks begin at a whole block of the generator");
  const at::TensorOptions longs = options.dtype(at::kLong);
  const int64_t blocks = (width + 7) / 8;
  const std::vector<int64_t> shape{rows.slots.numel(), blocks};
  at::Tensor x0 = torch::arange(first_feature / 8, first_feature / 8 + blocks, longs).expand(shape);
  at::Tensor x1 = rows.positions.to(options.device()).unsqueeze(1).expand(shape);
  const at::Tensor slots = rows.slots.to(options.device()).unsqueeze(1).expand(shape);
  at::Tensor x2 = slots.bitwise_and(kWord), x3 = slots.bitwise_right_shift(32).bitwise_and(kWord);
  const at::Tensor bits =
      key.on_device.defined() ? key.on_device : torch::full({}, static_cast<int64_t>(key_bits(key.host)), longs);
  at::Tensor k0 = bits.bitwise_and(kWord), k1 = bits.bitwise_right_shift(32).bitwise_and(kWord);
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const auto [high0, low0] = multiply_wide(x0, kPhiloxMultiplier0);
    const auto [high1, low1] = multiply_wide(x2, kPhiloxMultiplier1);
    x0 = high1.bitwise_xor(x1).bitwise_xor(k0);
    x2 = high0.bitwise_xor(x3).bitwise_xor(k1);
    x1 = low1;
    x3 = low0;
    k0 = (k0 + int64_t{kPhiloxWeyl0}).bitwise_and(kWord);
    k1 = (k1 + int64_t{kPhiloxWeyl1}).bitwise_and(kWord);
  }
  const at::Tensor words = torch::stack({x0, x1, x2, x3}, 2);  // [rows, blocks, 4]
  const at::Tensor halves = torch::stack({words.bitwise_and(0xFFFF), words.bitwise_right_shift(16)}, 3);
  const at::Tensor keep = halves.reshape({rows.slots.numel(), 8 * blocks})
                              .narrow(1, 0, width)
                              .ge(static_cast<int64_t>(dropout_threshold(probability)));
  return keep.to(options.dtype()) * dropout_scale(probability);
}

}  // namespace hyperx::model

#include "model/ops/cpu/attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/errors.h"
#include "model/ops/attention_on_device.h"
#include "model/ops/cpu/philox_lanes.h"
#include "model/ops/cpu/small_gemm.h"
#include "model/ops/cpu/vector_math.h"

namespace hyperx::model {
namespace {

// One sentence and head. Rows of q, k, v, out and their gradients are `stride` apart.
template <class T>
struct Head {
  int64_t length, dim, stride, out_stride;
  const T *q, *k, *v;
  T* probabilities;  // [length, length]: softmax, before dropout
  T* out;            // [length, dim]
  T *dq, *dk, *dv;   // backward only
  const T* dout;
  int64_t head;
  const int64_t *slots, *positions;  // of the sentence's rows
  PhiloxKey key;
  uint32_t threshold;  // 0: no dropout
  T scale;
};

template <class T>
HYPERX_INLINE void dropout_row_mask(const Head<T>& head, int64_t row, T* mask) {
  for (int64_t begin = 0; begin < head.length; begin += 8 * kPhiloxLanes) {
    const int count = static_cast<int>(std::min<int64_t>(8 * kPhiloxLanes, head.length - begin));
    keep_mask<T>(static_cast<uint32_t>((head.head << 13) + begin / 8), static_cast<uint32_t>(head.positions[row]),
                 static_cast<uint64_t>(head.slots[row]), head.key, head.threshold, head.scale, count, mask + begin);
  }
}

// Number of scratch values for a head.
constexpr int64_t scratch_values(int64_t length, int64_t dim) {
  return 2 * std::max(dim * padded_columns(length), length * padded_columns(dim)) + 2 * length * padded_columns(length);
}

template <class T>
HYPERX_INLINE void forward_head(const Head<T>& h, T* scratch) {
  const int64_t n = h.length, width = padded_columns(n);
  T* const k_transposed = scratch;                                                      // [dim, width]
  T* const v = k_transposed + h.dim * width;                                            // [n, padded dim]
  T* const weights = scratch + 2 * std::max(h.dim * width, n * padded_columns(h.dim));  // [n, width]
  T* const mask = weights + n * width;                                                  // [n]
  const T factor = T(1) / std::sqrt(static_cast<T>(h.dim));
  pack_transposed(h.k, n, h.dim, h.stride, k_transposed);
  pack(h.v, n, h.dim, h.stride, v);
  small_gemm(n, n, h.dim, h.q, h.stride, int64_t{1}, k_transposed, width, h.probabilities, n);
  for (int64_t i = 0; i < n; ++i) {
    T* HYPERX_RESTRICT const p = h.probabilities + i * n;
    T largest = p[0];
#pragma omp simd reduction(max : largest)
    for (int64_t j = 1; j < n; ++j) largest = std::max(largest, p[j]);
    for (int64_t j = 0; j < n; ++j) p[j] = exp_of((p[j] - largest) * factor);
    T sum = T(0);
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < n; ++j) sum += p[j];
    const T inverse = T(1) / sum;
    for (int64_t j = 0; j < n; ++j) p[j] *= inverse;
    if (h.threshold == 0) continue;
    dropout_row_mask(h, i, mask);
    for (int64_t j = 0; j < n; ++j) weights[i * width + j] = p[j] * mask[j];
  }
  const bool dropped = h.threshold != 0;
  small_gemm(n, h.dim, n, dropped ? weights : h.probabilities, dropped ? width : n, int64_t{1}, v,
             padded_columns(h.dim), h.out, h.out_stride);
}

template <class T>
HYPERX_INLINE void backward_head(const Head<T>& h, T* scratch) {
  const int64_t n = h.length, width = padded_columns(n), dim_width = padded_columns(h.dim);
  const int64_t operand = std::max(h.dim * width, n * dim_width);
  T* const packed = scratch;                 // one operand at a time
  T* const packed_dout = scratch + operand;  // [n, padded dim]
  T* const ds = scratch + 2 * operand;       // [n, width]: gradient of the dropped probabilities, then of the scores
  T* const weights = ds + n * width;         // [n, width]: mask, then the dropped probabilities
  const T factor = T(1) / std::sqrt(static_cast<T>(h.dim));
  pack_transposed(h.v, n, h.dim, h.stride, packed);
  small_gemm(n, n, h.dim, h.dout, h.out_stride, int64_t{1}, packed, width, ds, width);
  for (int64_t i = 0; i < n; ++i) {
    const T* HYPERX_RESTRICT const p = h.probabilities + i * n;
    T* HYPERX_RESTRICT const w = weights + i * width;
    T* HYPERX_RESTRICT const d = ds + i * width;
    if (h.threshold != 0) {
      dropout_row_mask(h, i, w);
      for (int64_t j = 0; j < n; ++j) d[j] *= w[j];
      for (int64_t j = 0; j < n; ++j) w[j] *= p[j];
    } else {
      for (int64_t j = 0; j < n; ++j) w[j] = p[j];
    }
    T inner = T(0);
#pragma omp simd reduction(+ : inner)
    for (int64_t j = 0; j < n; ++j) inner += d[j] * p[j];
    for (int64_t j = 0; j < n; ++j) d[j] = p[j] * (d[j] - inner) * factor;
  }
  pack(h.k, n, h.dim, h.stride, packed);
  small_gemm(n, h.dim, n, ds, width, int64_t{1}, packed, dim_width, h.dq, h.stride);
  pack(h.q, n, h.dim, h.stride, packed);
  small_gemm(n, h.dim, n, ds, int64_t{1}, width, packed, dim_width, h.dk, h.stride);
  pack(h.dout, n, h.dim, h.out_stride, packed_dout);
  small_gemm(n, h.dim, n, weights, int64_t{1}, width, packed_dout, dim_width, h.dv, h.stride);
}

HYPERX_MULTIVERSION void run_forward(const Head<float>& head, float* scratch) { forward_head(head, scratch); }
HYPERX_MULTIVERSION void run_forward(const Head<double>& head, double* scratch) { forward_head(head, scratch); }
HYPERX_MULTIVERSION void run_backward(const Head<float>& head, float* scratch) { backward_head(head, scratch); }
HYPERX_MULTIVERSION void run_backward(const Head<double>& head, double* scratch) { backward_head(head, scratch); }

struct Layout {
  int64_t heads, hidden, dim, longest;
  std::vector<int64_t> starts;          // of the sentences, in rows
  std::vector<int64_t> probability_at;  // of the sentences, in the probabilities of one head
  int64_t probability_count = 0;        // of one head
};

Layout layout_of(const at::Tensor& qkv, const at::Tensor& sentence_starts, int64_t heads) {
  Layout layout{heads, qkv.size(1) / 3, qkv.size(1) / 3 / heads, 0, {}, {}, 0};
  const int32_t* const starts = sentence_starts.const_data_ptr<int32_t>();
  layout.starts.assign(starts, starts + sentence_starts.numel());
  for (size_t s = 0; s + 1 < layout.starts.size(); ++s) {
    const int64_t length = layout.starts[s + 1] - layout.starts[s];
    layout.longest = std::max(layout.longest, length);
    layout.probability_at.push_back(layout.probability_count);
    layout.probability_count += length * length;
  }
  return layout;
}

// Calls run(head, scratch) for every sentence and head.
template <class T, class Prepare, class Run>
void for_each_head(const Layout& layout, const Prepare& prepare, const Run& run) {
  const int64_t sentences = static_cast<int64_t>(layout.starts.size()) - 1;
  at::parallel_for(0, sentences * layout.heads, 4, [&](int64_t begin, int64_t end) {
    std::vector<T> scratch(static_cast<size_t>(scratch_values(layout.longest, layout.dim)));
    for (int64_t item = begin; item < end; ++item)
      run(prepare(item / layout.heads, item % layout.heads), scratch.data());
  });
}

class PackedAttention : public torch::autograd::Function<PackedAttention> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& qkv, const at::Tensor& starts,
                            const at::Tensor& slots, const at::Tensor& positions, int64_t heads, double probability,
                            int64_t key) {
    RECORD_FUNCTION("hyperx::attention", std::vector<c10::IValue>());
    // Reduced-precision types are computed in fp32: otherwise the loops would convert each value many times.
    const at::Tensor input = (qkv.scalar_type() == at::kBFloat16 ? qkv.to(at::kFloat) : qkv).contiguous();
    const Layout layout = layout_of(input, starts, heads);
    at::Tensor probabilities = at::empty({heads, layout.probability_count}, input.options());
    at::Tensor out = at::empty({input.size(0), layout.hidden}, input.options());
    if (input.scalar_type() == at::kDouble) {
      compute<double>(layout, input, probabilities, out, {}, {}, slots, positions, probability, key);
    } else {
      compute<float>(layout, input, probabilities, out, {}, {}, slots, positions, probability, key);
    }
    context->save_for_backward({input, probabilities, starts, slots, positions});
    context->saved_data["heads"] = heads;
    context->saved_data["probability"] = probability;
    context->saved_data["key"] = key;
    context->saved_data["type"] = static_cast<int64_t>(qkv.scalar_type());
    return out.to(qkv.scalar_type());
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    RECORD_FUNCTION("hyperx::attention", std::vector<c10::IValue>());
    const auto saved = context->get_saved_variables();
    const at::Tensor& input = saved[0];
    const int64_t heads = context->saved_data["heads"].toInt();
    const double probability = context->saved_data["probability"].toDouble();
    const int64_t key = context->saved_data["key"].toInt();
    const Layout layout = layout_of(input, saved[2], heads);
    const at::Tensor dout = gradients[0].to(input.scalar_type()).contiguous();
    at::Tensor dqkv = at::empty_like(input);
    if (input.scalar_type() == at::kDouble) {
      compute<double>(layout, input, saved[1], {}, dout, dqkv, saved[3], saved[4], probability, key);
    } else {
      compute<float>(layout, input, saved[1], {}, dout, dqkv, saved[3], saved[4], probability, key);
    }
    const auto type = static_cast<at::ScalarType>(context->saved_data["type"].toInt());
    return {dqkv.to(type), {}, {}, {}, {}, {}, {}};
  }

 private:
  // Forward if `out` is defined, otherwise backward.
  template <class T>
  static void compute(const Layout& layout, const at::Tensor& input, const at::Tensor& probabilities,
                      const at::Tensor& out, const at::Tensor& dout, const at::Tensor& dqkv, const at::Tensor& slots,
                      const at::Tensor& positions, double probability, int64_t packed_key) {
    const PhiloxKey key = philox_key(static_cast<uint64_t>(packed_key));
    const auto prepare = [&](int64_t sentence, int64_t index) {
      const int64_t row = layout.starts[static_cast<size_t>(sentence)];
      const int64_t at = row * 3 * layout.hidden + index * layout.dim;
      Head<T> head{};
      head.length = layout.starts[static_cast<size_t>(sentence) + 1] - row;
      head.dim = layout.dim;
      head.stride = 3 * layout.hidden;
      head.out_stride = layout.hidden;
      head.q = input.const_data_ptr<T>() + at;
      head.k = head.q + layout.hidden;
      head.v = head.k + layout.hidden;
      head.probabilities = probabilities.data_ptr<T>() + index * layout.probability_count +
                           layout.probability_at[static_cast<size_t>(sentence)];
      if (out.defined()) {
        head.out = out.data_ptr<T>() + row * layout.hidden + index * layout.dim;
      } else {
        head.dout = dout.const_data_ptr<T>() + row * layout.hidden + index * layout.dim;
        head.dq = dqkv.data_ptr<T>() + at;
        head.dk = head.dq + layout.hidden;
        head.dv = head.dk + layout.hidden;
      }
      head.head = index;
      head.slots = slots.const_data_ptr<int64_t>() + row;
      head.positions = positions.const_data_ptr<int64_t>() + row;
      head.key = key;
      head.threshold = probability > 0 ? dropout_threshold(probability) : 0;
      head.scale = static_cast<T>(dropout_scale(probability));
      return head;
    };
    if (out.defined()) {
      for_each_head<T>(layout, prepare, [](const Head<T>& head, T* scratch) { run_forward(head, scratch); });
    } else {
      for_each_head<T>(layout, prepare, [](const Head<T>& head, T* scratch) { run_backward(head, scratch); });
    }
  }
};

}  // namespace

at::Tensor packed_attention(const at::Tensor& qkv, const SentenceStarts& starts, int64_t heads,
                            const SiteDropout& dropout) {
  HYPERX_CHECK(qkv.dim() == 2 && qkv.size(1) % (3 * heads) == 0, "attention takes [tokens, 3 * hidden]");
  if (!qkv.is_cpu()) return attention_on_device(qkv, starts, heads, dropout);
  HYPERX_CHECK(starts.host.is_cpu() && starts.host.scalar_type() == at::kInt, "sentence starts are int32 on the host");
  return PackedAttention::apply(qkv, starts.host, dropout.rows.slots, dropout.rows.positions, heads,
                                dropout.probability, static_cast<int64_t>(key_bits(dropout.key.host)));
}

}  // namespace hyperx::model

#include "model/ops/cpu/residual_norm.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "common/errors.h"
#include "model/ops/cpu/philox_lanes.h"
#include "model/ops/cpu/row_chunks.h"
#include "model/ops/cuda/cuda_ops.h"
#include "model/ops/own_kernels.h"

namespace hyperx::model {
namespace {

constexpr int64_t kMaskFeatures = 8 * kPhiloxLanes;  // per call of the random generator

// Operands of one pass. T is the stored type; C is the type of the computation and of the norm's parameters.
template <class T, class C>
struct Pass {
  int64_t width;
  const T *x, *bias, *first, *second;  // second may be null
  T *sum, *y;                          // sum may be null: not stored
  C *mean, *scale;                     // [rows] of the sum; scale: 1 / standard deviation
  const C *weight, *norm_bias;
  C epsilon;
  const int64_t *slots, *positions;  // null: no dropout
  PhiloxKey key;
  uint32_t threshold;
  C keep_scale;
  // backward
  const T* dy;
  T *dx, *dsum;  // the same tensor if there is no dropout
};

// Multiplies `values`, one row, by its mask, in place.
template <class C>
HYPERX_INLINE void drop_row(C* HYPERX_RESTRICT values, int64_t width, int64_t position, int64_t slot, PhiloxKey key,
                            uint32_t threshold, C keep_scale) {
  C mask[kMaskFeatures];
  for (int64_t begin = 0; begin < width; begin += kMaskFeatures) {
    const int count = static_cast<int>(std::min(kMaskFeatures, width - begin));
    keep_mask<C>(static_cast<uint32_t>(begin / 8), static_cast<uint32_t>(position), static_cast<uint64_t>(slot), key,
                 threshold, keep_scale, count, mask);
    for (int i = 0; i < count; ++i) values[begin + i] *= mask[i];
  }
}

// `row_values` [width] is scratch.
template <class T, class C>
HYPERX_INLINE void forward_rows(const Pass<T, C>& p, int64_t begin, int64_t end, C* HYPERX_RESTRICT row_values) {
  const int64_t width = p.width;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t at = row * width;
    for (int64_t i = 0; i < width; ++i) row_values[i] = static_cast<C>(p.x[at + i]) + static_cast<C>(p.bias[i]);
    if (p.slots != nullptr)
      drop_row(row_values, width, p.positions[row], p.slots[row], p.key, p.threshold, p.keep_scale);
    C total = C(0);
    if (p.second == nullptr) {
#pragma omp simd reduction(+ : total)
      for (int64_t i = 0; i < width; ++i) total += row_values[i] += static_cast<C>(p.first[at + i]);
    } else {
#pragma omp simd reduction(+ : total)
      for (int64_t i = 0; i < width; ++i)
        total += row_values[i] += static_cast<C>(p.first[at + i]) + static_cast<C>(p.second[at + i]);
    }
    const C mean = total / static_cast<C>(width);
    C squares = C(0);
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < width; ++i) squares += (row_values[i] - mean) * (row_values[i] - mean);
    const C scale = C(1) / std::sqrt(squares / static_cast<C>(width) + p.epsilon);
    p.mean[row] = mean;
    p.scale[row] = scale;
    if (p.sum != nullptr)
      for (int64_t i = 0; i < width; ++i) p.sum[at + i] = static_cast<T>(row_values[i]);
    for (int64_t i = 0; i < width; ++i)
      p.y[at + i] = static_cast<T>((row_values[i] - mean) * scale * p.weight[i] + p.norm_bias[i]);
  }
}

// `sums` [3 * width]: gradients of the norm's weight and bias, and of the bias of x.
template <class T, class C>
HYPERX_INLINE void backward_rows(const Pass<T, C>& p, int64_t begin, int64_t end, C* HYPERX_RESTRICT row_values,
                                 C* HYPERX_RESTRICT sums) {
  const int64_t width = p.width;
  const C inverse = C(1) / static_cast<C>(width);
  for (int64_t row = begin; row < end; ++row) {
    const int64_t at = row * width;
    const C mean = p.mean[row], scale = p.scale[row];
    C total = C(0), along = C(0);
#pragma omp simd reduction(+ : total, along)
    for (int64_t i = 0; i < width; ++i) {
      const C dy = static_cast<C>(p.dy[at + i]), normed = (static_cast<C>(p.sum[at + i]) - mean) * scale;
      const C inner = dy * p.weight[i];
      total += inner;
      along += inner * normed;
      sums[i] += dy * normed;
      sums[width + i] += dy;
    }
    total *= inverse;
    along *= inverse;
    for (int64_t i = 0; i < width; ++i) {
      const C dy = static_cast<C>(p.dy[at + i]), normed = (static_cast<C>(p.sum[at + i]) - mean) * scale;
      row_values[i] = scale * (dy * p.weight[i] - total - normed * along);
      p.dsum[at + i] = static_cast<T>(row_values[i]);
    }
    if (p.slots != nullptr) {
      drop_row(row_values, width, p.positions[row], p.slots[row], p.key, p.threshold, p.keep_scale);
      for (int64_t i = 0; i < width; ++i) p.dx[at + i] = static_cast<T>(row_values[i]);
    }
    for (int64_t i = 0; i < width; ++i) sums[2 * width + i] += row_values[i];
  }
}

#define HYPERX_RESIDUAL_NORM_OF(T, C)                                                                                 \
  HYPERX_MULTIVERSION void run_forward(const Pass<T, C>& pass, int64_t begin, int64_t end, C* row_values) {           \
    forward_rows(pass, begin, end, row_values);                                                                       \
  }                                                                                                                   \
  HYPERX_MULTIVERSION void run_backward(const Pass<T, C>& pass, int64_t begin, int64_t end, C* row_values, C* sums) { \
    backward_rows(pass, begin, end, row_values, sums);                                                                \
  }
HYPERX_RESIDUAL_NORM_OF(float, float)
HYPERX_RESIDUAL_NORM_OF(double, double)
HYPERX_RESIDUAL_NORM_OF(c10::BFloat16, float)
#undef HYPERX_RESIDUAL_NORM_OF

// The tensors of one call, contiguous.
struct Operands {
  at::Tensor x, bias, first, second, weight, norm_bias;
  double epsilon;
  SiteDropout dropout;
};

template <class T, class C>
Pass<T, C> pass_of(const Operands& o, const at::Tensor& mean, const at::Tensor& scale) {
  Pass<T, C> pass{};
  pass.width = o.weight.numel();
  pass.weight = o.weight.const_data_ptr<C>();
  pass.norm_bias = o.norm_bias.const_data_ptr<C>();
  pass.epsilon = static_cast<C>(o.epsilon);
  pass.mean = mean.data_ptr<C>();
  pass.scale = scale.data_ptr<C>();
  if (o.dropout.probability > 0) {
    pass.slots = o.dropout.rows.slots.const_data_ptr<int64_t>();
    pass.positions = o.dropout.rows.positions.const_data_ptr<int64_t>();
    pass.key = o.dropout.key.host;
    pass.threshold = dropout_threshold(o.dropout.probability);
    pass.keep_scale = static_cast<C>(dropout_scale(o.dropout.probability));
  }
  return pass;
}

struct Forward {
  at::Tensor y, sum, mean, scale;
};

template <class T, class C>
Forward forward_cpu(const Operands& o, bool keeps_sum) {
  Forward result;
  const at::TensorOptions wide = o.weight.options().requires_grad(false);
  result.y = at::empty_like(o.x);
  if (keeps_sum) result.sum = at::empty_like(o.x);
  result.mean = at::empty({o.x.size(0)}, wide);
  result.scale = at::empty({o.x.size(0)}, wide);
  Pass<T, C> pass = pass_of<T, C>(o, result.mean, result.scale);
  pass.x = o.x.const_data_ptr<T>();
  pass.bias = o.bias.const_data_ptr<T>();
  pass.first = o.first.const_data_ptr<T>();
  pass.second = o.second.defined() ? o.second.const_data_ptr<T>() : nullptr;
  pass.sum = keeps_sum ? result.sum.data_ptr<T>() : nullptr;
  pass.y = result.y.data_ptr<T>();
  at::parallel_for(0, o.x.size(0), kChunkRows, [&](int64_t begin, int64_t end) {
    std::vector<C> row_values(static_cast<size_t>(pass.width));
    run_forward(pass, begin, end, row_values.data());
  });
  return result;
}

struct Backward {
  at::Tensor dx, dsum, dweight, dnorm_bias, dbias;
};

template <class T, class C>
Backward backward_cpu(const Operands& o, const Forward& saved, const at::Tensor& dy) {
  Backward result;
  result.dsum = at::empty_like(dy);
  result.dx = o.dropout.probability > 0 ? at::empty_like(dy) : result.dsum;
  Pass<T, C> pass = pass_of<T, C>(o, saved.mean, saved.scale);
  pass.sum = saved.sum.data_ptr<T>();
  pass.dy = dy.const_data_ptr<T>();
  pass.dsum = result.dsum.data_ptr<T>();
  pass.dx = result.dx.data_ptr<T>();
  const int64_t width = pass.width;
  const std::vector<C> sums =
      sum_over_row_chunks<C>(dy.size(0), 3 * width, [&](int64_t begin, int64_t end, C* chunk_sums) {
        std::vector<C> row_values(static_cast<size_t>(width));
        run_backward(pass, begin, end, row_values.data(), chunk_sums);
      });
  const auto part = [&](int64_t index, at::ScalarType type) {
    at::Tensor values = at::empty({width}, o.weight.options().requires_grad(false));
    std::copy_n(sums.begin() + index * width, width, values.data_ptr<C>());
    return values.to(type);
  };
  result.dweight = part(0, o.weight.scalar_type());
  result.dnorm_bias = part(1, o.weight.scalar_type());
  result.dbias = part(2, dy.scalar_type());
  return result;
}

Forward forward_of(const Operands& o, bool keeps_sum) {
  return AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, o.x.scalar_type(), "norm of a sum",
                                        [&] { return forward_cpu<scalar_t, at::opmath_type<scalar_t>>(o, keeps_sum); });
}

class ResidualNorm : public torch::autograd::Function<ResidualNorm> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& bias,
                            const at::Tensor& first, const std::optional<at::Tensor>& second, const at::Tensor& weight,
                            const at::Tensor& norm_bias, double epsilon, const at::Tensor& slots,
                            const at::Tensor& positions, double probability, int64_t key) {
    RECORD_FUNCTION("hyperx::elementwise", std::vector<c10::IValue>());
    const Operands operands{x.contiguous(),
                            bias.contiguous(),
                            first.contiguous(),
                            second ? second->contiguous() : at::Tensor(),
                            weight,
                            norm_bias,
                            epsilon,
                            {{slots, positions}, probability, {philox_key(static_cast<uint64_t>(key))}}};
    const Forward result = forward_of(operands, true);
    context->save_for_backward({result.sum, result.mean, result.scale, weight, norm_bias, slots, positions});
    context->saved_data["epsilon"] = epsilon;
    context->saved_data["probability"] = probability;
    context->saved_data["key"] = key;
    context->saved_data["second"] = second.has_value();
    return result.y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const Operands operands{{},
                            {},
                            {},
                            {},
                            saved[3],
                            saved[4],
                            context->saved_data["epsilon"].toDouble(),
                            {{saved[5], saved[6]},
                             context->saved_data["probability"].toDouble(),
                             {philox_key(static_cast<uint64_t>(context->saved_data["key"].toInt()))}}};
    const Forward kept{{}, saved[0], saved[1], saved[2]};
    const at::Tensor dy = gradients[0].contiguous();
    const Backward result = AT_DISPATCH_FLOATING_TYPES_AND(
        at::kBFloat16, dy.scalar_type(), "norm of a sum, backward",
        [&] { return backward_cpu<scalar_t, at::opmath_type<scalar_t>>(operands, kept, dy); });
    const bool has_second = context->saved_data["second"].toBool();
    return {result.dx,
            result.dbias,
            result.dsum,
            has_second ? result.dsum : at::Tensor(),
            result.dweight,
            result.dnorm_bias,
            {},
            {},
            {},
            {},
            {}};
  }
};

// The same with LibTorch's operations, for devices without our own kernel.
at::Tensor by_operations(const at::Tensor& x, const at::Tensor& bias, const SiteDropout& dropout,
                         const at::Tensor& first, const at::Tensor& second, const NormParameters& norm) {
  at::Tensor sum = dropout_by_operations(x + bias, dropout) + first;
  if (second.defined()) sum = sum + second;
  const at::ScalarType wide = norm.weight.scalar_type();
  return at::layer_norm(sum.to(wide), {norm.weight.numel()}, norm.weight, norm.bias, norm.epsilon).to(x.scalar_type());
}

}  // namespace

at::Tensor residual_norm(const at::Tensor& x, const at::Tensor& given_bias, const SiteDropout& dropout,
                         const at::Tensor& first, const at::Tensor& second, const NormParameters& norm) {
  if constexpr (kHasOwnKernels)
    if (own_kernels_take(x)) return cuda_residual_norm(x, given_bias, dropout, first, second, norm);
  const at::Tensor bias = given_bias.defined() ? given_bias : at::zeros({x.size(1)}, x.options().requires_grad(false));
  HYPERX_CHECK(x.dim() == 2 && first.sizes() == x.sizes() && norm.weight.numel() == x.size(1),
               "a norm of a sum takes terms of [rows, width]");
  if (!x.is_cpu()) return by_operations(x, bias, dropout, first, second, norm);
  const auto learns = [](const at::Tensor& tensor) { return tensor.defined() && tensor.requires_grad(); };
  const bool any_learns =
      learns(x) || learns(given_bias) || learns(first) || learns(second) || learns(norm.weight) || learns(norm.bias);
  if (!at::GradMode::is_enabled() || !any_learns)
    return forward_of({x.contiguous(), bias.contiguous(), first.contiguous(),
                       second.defined() ? second.contiguous() : second, norm.weight, norm.bias, norm.epsilon, dropout},
                      false)
        .y;
  const bool drops = dropout.probability > 0;
  const at::Tensor none = drops ? at::Tensor() : at::empty({0}, x.options().dtype(at::kLong).requires_grad(false));
  return ResidualNorm::apply(x, bias, first, second.defined() ? std::optional<at::Tensor>(second) : std::nullopt,
                             norm.weight, norm.bias, norm.epsilon, drops ? dropout.rows.slots : none,
                             drops ? dropout.rows.positions : none, dropout.probability,
                             static_cast<int64_t>(key_bits(dropout.key.host)));
}

}  // namespace hyperx::model

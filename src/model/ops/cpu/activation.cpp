#include "model/ops/cpu/activation.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/custom_function.h>

#include "common/errors.h"
#include "model/ops/cpu/row_chunks.h"
#include "model/ops/cpu/vector_math.h"
#include "model/ops/cuda/cuda_ops.h"
#include "model/ops/own_kernels.h"

namespace hyperx::model {
namespace {

// A range of rows. Stored in type T, computed in type C.
template <class T>
struct Rows {
  int64_t count, width;
  const T *x, *bias, *dy;
  T *y, *dx;
};

template <class T, class C>
HYPERX_INLINE void gelu_rows(const Rows<T>& rows) {
  for (int64_t r = 0; r < rows.count; ++r) {
    const T* HYPERX_RESTRICT const x = rows.x + r * rows.width;
    T* HYPERX_RESTRICT const y = rows.y + r * rows.width;
    for (int64_t i = 0; i < rows.width; ++i) {
      const C value = static_cast<C>(x[i]) + static_cast<C>(rows.bias[i]);
      y[i] = static_cast<T>(value * normal_share(value).phi);
    }
  }
}

template <class T, class C>
HYPERX_INLINE void relu_rows(const Rows<T>& rows) {
  for (int64_t r = 0; r < rows.count; ++r) {
    const T* HYPERX_RESTRICT const x = rows.x + r * rows.width;
    T* HYPERX_RESTRICT const y = rows.y + r * rows.width;
    for (int64_t i = 0; i < rows.width; ++i)
      y[i] = static_cast<T>(std::max(static_cast<C>(x[i]) + static_cast<C>(rows.bias[i]), C(0)));
  }
}

// `sums` [width] gets the gradient of the bias.
template <class T, class C>
HYPERX_INLINE void gelu_backward_rows(const Rows<T>& rows, C* HYPERX_RESTRICT sums) {
  for (int64_t r = 0; r < rows.count; ++r) {
    const T* HYPERX_RESTRICT const x = rows.x + r * rows.width;
    const T* HYPERX_RESTRICT const dy = rows.dy + r * rows.width;
    T* HYPERX_RESTRICT const dx = rows.dx + r * rows.width;
    for (int64_t i = 0; i < rows.width; ++i) {
      const C value = static_cast<C>(x[i]) + static_cast<C>(rows.bias[i]);
      const NormalShare<C> share = normal_share(value);
      const C gradient = static_cast<C>(dy[i]) * (share.phi + value * share.e * static_cast<C>(kInverseSqrtTwoPi));
      dx[i] = static_cast<T>(gradient);
      sums[i] += gradient;
    }
  }
}

template <class T, class C>
HYPERX_INLINE void relu_backward_rows(const Rows<T>& rows, C* HYPERX_RESTRICT sums) {
  for (int64_t r = 0; r < rows.count; ++r) {
    const T* HYPERX_RESTRICT const y = rows.x + r * rows.width;  // the output: positive exactly where x + bias is
    const T* HYPERX_RESTRICT const dy = rows.dy + r * rows.width;
    T* HYPERX_RESTRICT const dx = rows.dx + r * rows.width;
    for (int64_t i = 0; i < rows.width; ++i) {
      const C gradient = static_cast<C>(y[i]) > C(0) ? static_cast<C>(dy[i]) : C(0);
      dx[i] = static_cast<T>(gradient);
      sums[i] += gradient;
    }
  }
}

#define HYPERX_ACTIVATION_OF(T, C)                                                                                   \
  HYPERX_MULTIVERSION void run_gelu(const Rows<T>& rows) { gelu_rows<T, C>(rows); }                                  \
  HYPERX_MULTIVERSION void run_relu(const Rows<T>& rows) { relu_rows<T, C>(rows); }                                  \
  HYPERX_MULTIVERSION void run_gelu_backward(const Rows<T>& rows, C* sums) { gelu_backward_rows<T, C>(rows, sums); } \
  HYPERX_MULTIVERSION void run_relu_backward(const Rows<T>& rows, C* sums) { relu_backward_rows<T, C>(rows, sums); }
HYPERX_ACTIVATION_OF(float, float)
HYPERX_ACTIVATION_OF(double, double)
HYPERX_ACTIVATION_OF(c10::BFloat16, float)
#undef HYPERX_ACTIVATION_OF

template <class T>
at::Tensor forward_cpu(const at::Tensor& x, const at::Tensor& bias, Activation activation) {
  at::Tensor y = at::empty_like(x);
  const int64_t width = x.size(1);
  const T* const from = x.const_data_ptr<T>();
  T* const into = y.data_ptr<T>();
  at::parallel_for(0, x.size(0), kChunkRows, [&](int64_t begin, int64_t end) {
    const Rows<T> rows{end - begin,          width,  from + begin * width, bias.const_data_ptr<T>(), nullptr,
                       into + begin * width, nullptr};
    activation == Activation::kGelu ? run_gelu(rows) : run_relu(rows);
  });
  return y;
}

// `saved`: x for GELU, y for ReLU. Returns dx and, if requested, dbias.
template <class T, class C>
std::pair<at::Tensor, at::Tensor> backward_cpu(const at::Tensor& saved, const at::Tensor& bias, const at::Tensor& dy,
                                               Activation activation, bool wants_bias) {
  at::Tensor dx = at::empty_like(dy);
  const int64_t width = saved.size(1);
  const T *const from = saved.const_data_ptr<T>(), *const above = dy.const_data_ptr<T>();
  T* const into = dx.data_ptr<T>();
  const std::vector<C> sums =
      sum_over_row_chunks<C>(saved.size(0), width, [&](int64_t begin, int64_t end, C* chunk_sums) {
        const Rows<T> rows{end - begin,           width,   from + begin * width, bias.const_data_ptr<T>(),
                           above + begin * width, nullptr, into + begin * width};
        activation == Activation::kGelu ? run_gelu_backward(rows, chunk_sums) : run_relu_backward(rows, chunk_sums);
      });
  if (!wants_bias) return {dx, {}};
  at::Tensor dbias = at::empty_like(bias);
  for (int64_t i = 0; i < width; ++i) dbias.data_ptr<T>()[i] = static_cast<T>(sums[static_cast<size_t>(i)]);
  return {dx, dbias};
}

class BiasedActivation : public torch::autograd::Function<BiasedActivation> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& bias,
                            int64_t kind) {
    RECORD_FUNCTION("hyperx::elementwise", std::vector<c10::IValue>());
    const auto activation = static_cast<Activation>(kind);
    const at::Tensor input = x.contiguous();
    const at::Tensor y = run(input, bias, activation);
    context->save_for_backward({activation == Activation::kGelu ? input : y, bias});
    context->saved_data["kind"] = kind;
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto activation = static_cast<Activation>(context->saved_data["kind"].toInt());
    const at::Tensor dy = gradients[0].contiguous();
    const bool wants_bias = context->needs_input_grad(1);
    const auto [dx, dbias] =
        AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, dy.scalar_type(), "activation backward", [&] {
          return backward_cpu<scalar_t, at::opmath_type<scalar_t>>(saved[0], saved[1], dy, activation, wants_bias);
        });
    return {dx, dbias, {}};
  }

  static at::Tensor run(const at::Tensor& x, const at::Tensor& bias, Activation activation) {
    return AT_DISPATCH_FLOATING_TYPES_AND(at::kBFloat16, x.scalar_type(), "activation",
                                          [&] { return forward_cpu<scalar_t>(x, bias, activation); });
  }
};

}  // namespace

at::Tensor biased_activation(const at::Tensor& x, const at::Tensor& bias, Activation activation) {
  HYPERX_CHECK(x.dim() == 2 && bias.sizes() == at::IntArrayRef{x.size(1)} && bias.scalar_type() == x.scalar_type(),
               "an activation takes [rows, width] and a bias of its width and type");
  if constexpr (kHasOwnKernels)
    if (own_kernels_take(x)) return cuda_biased_activation(x, bias, activation);
  if (!x.is_cpu()) return activation == Activation::kGelu ? at::gelu(x + bias) : at::relu(x + bias);
  return BiasedActivation::apply(x, bias.contiguous(), static_cast<int64_t>(activation));
}

}  // namespace hyperx::model

#include "model/methods/hyperx/generator.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/errors.h"
#include "model/ops/cpu/multiversion.h"
#include "model/ops/cpu/small_gemm.h"
#include "model/ops/cuda/cuda_ops.h"
#include "model/ops/own_kernels.h"
#include "model/parameters/adam_row.h"

namespace hyperx::model {
namespace {

template <class T>
struct LowRankTask {
  T *w, *c, *w_m, *w_v, *c_m, *c_v;
  const T* g;  // [rows, theta], rows `g_stride` apart
  const T* s;  // [rows, projected]
  int64_t rows, projected, g_stride;
  AdamFactors<T> factors, bias_factors;
};

constexpr int64_t kMaxProjected = 4096;
constexpr int64_t kBlockRows = 1 << 15;  // rows of W on a device: 25 MB of gradient for the Base model

template <class T>
HYPERX_INLINE void low_rank_rows(const LowRankTask<T>& t, int64_t begin, int64_t end) {
  T gradient[kMaxProjected];
  for (int64_t n = begin; n < end; ++n) {
    for (int64_t j = 0; j < t.projected; ++j) gradient[j] = T(0);
    T bias = T(0);
    for (int64_t r = 0; r < t.rows; ++r) {
      const T factor = t.g[r * t.g_stride + n];
      const T* HYPERX_RESTRICT s = t.s + r * t.projected;
      for (int64_t j = 0; j < t.projected; ++j) gradient[j] += factor * s[j];
      bias += factor;
    }
    adam_row(t.w + n * t.projected, gradient, t.w_m + n * t.projected, t.w_v + n * t.projected, t.projected, t.factors);
    adam_row(t.c + n, &bias, t.c_m + n, t.c_v + n, 1, t.bias_factors);
  }
}

HYPERX_MULTIVERSION void run_low_rank(const LowRankTask<float>& task, int64_t begin, int64_t end) {
  low_rank_rows(task, begin, end);
}
HYPERX_MULTIVERSION void run_low_rank(const LowRankTask<double>& task, int64_t begin, int64_t end) {
  low_rank_rows(task, begin, end);
}
template <class T>
void low_rank_cpu(at::Tensor& w, at::Tensor& c, at::Tensor& w_m, at::Tensor& w_v, at::Tensor& c_m, at::Tensor& c_v,
                  const at::Tensor& g, const at::Tensor& s, const AdamFactors<T>& factors,
                  const AdamFactors<T>& bias_factors) {
  const LowRankTask<T> task{w.data_ptr<T>(),   c.data_ptr<T>(),   w_m.data_ptr<T>(),     w_v.data_ptr<T>(),
                            c_m.data_ptr<T>(), c_v.data_ptr<T>(), g.const_data_ptr<T>(), s.const_data_ptr<T>(),
                            g.size(0),         w.size(1),         g.stride(0),           factors,
                            bias_factors};
  at::parallel_for(0, w.size(0), 64, [&](int64_t begin, int64_t end) { run_low_rank(task, begin, end); });
}

// Rows of W that are processed together in the cache, and rows of one unit of work.
constexpr int64_t kTileRows = 64;
constexpr int64_t kStretchRows = 64 * kTileRows;

template <class T>
struct SumsTask {
  const T *w, *g;
  int64_t theta, rows, projected, g_stride;
  int64_t sum_count() const { return rows * (projected + rows); }
};

// Adds the contributions of rows [begin, end) of W to `sums`: [rows, projected] and [rows, rows]. `scratch` holds a
// tile of W with padded columns, its product, and the tile of g in fp64.
template <class T>
HYPERX_INLINE void sum_rows(const SumsTask<T>& t, int64_t begin, int64_t end, double* HYPERX_RESTRICT sums, T* packed,
                            T* product, double* wide) {
  const int64_t width = padded_columns(t.projected);
  double* const gram = sums + t.rows * t.projected;
  for (int64_t tile = begin; tile < end; tile += kTileRows) {
    const int64_t depth = std::min(kTileRows, end - tile);
    pack(t.w + tile * t.projected, depth, t.projected, t.projected, packed);  // sequential in memory: it streams
    const T* const next = t.w + (tile + depth) * t.projected;
    ReadAhead next_tile{reinterpret_cast<const char*>(next),
                        reinterpret_cast<const char*>(next + std::min(kTileRows, end - tile - depth) * t.projected)};
    small_gemm(t.rows, t.projected, depth, t.g + tile, t.g_stride, int64_t{1}, packed, width, product, t.projected,
               next_tile);
    for (int64_t i = 0; i < t.rows * t.projected; ++i) sums[i] += static_cast<double>(product[i]);
    for (int64_t r = 0; r < t.rows; ++r)
      for (int64_t k = 0; k < depth; ++k) wide[r * kTileRows + k] = static_cast<double>(t.g[r * t.g_stride + tile + k]);
    for (int64_t r = 0; r < t.rows; ++r)
      for (int64_t q = 0; q <= r; ++q) {
        const double *const a = wide + r * kTileRows, *const b = wide + q * kTileRows;
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t k = 0; k < depth; ++k) sum += a[k] * b[k];
        gram[r * t.rows + q] += sum;
      }
  }
}

HYPERX_MULTIVERSION void run_sums(const SumsTask<float>& task, int64_t begin, int64_t end, double* sums, float* packed,
                                  float* product, double* wide) {
  sum_rows(task, begin, end, sums, packed, product, wide);
}
HYPERX_MULTIVERSION void run_sums(const SumsTask<double>& task, int64_t begin, int64_t end, double* sums,
                                  double* packed, double* product, double* wide) {
  sum_rows(task, begin, end, sums, packed, product, wide);
}

template <class T>
FactorSums factor_sums_cpu(const at::Tensor& w, const at::Tensor& g) {
  const SumsTask<T> task{w.const_data_ptr<T>(), g.const_data_ptr<T>(), w.size(0), g.size(0), w.size(1), g.stride(0)};
  const int64_t stretches = (task.theta + kStretchRows - 1) / kStretchRows, count = task.sum_count();
  std::vector<double> partial(static_cast<size_t>(stretches * count), 0.0);
  at::parallel_for(0, stretches, 1, [&](int64_t begin, int64_t end) {
    std::vector<T> packed(static_cast<size_t>(kTileRows * padded_columns(task.projected)));
    std::vector<T> product(static_cast<size_t>(task.rows * task.projected));
    std::vector<double> wide(static_cast<size_t>(task.rows * kTileRows));
    for (int64_t i = begin; i < end; ++i)
      run_sums(task, i * kStretchRows, std::min(task.theta, (i + 1) * kStretchRows), partial.data() + i * count,
               packed.data(), product.data(), wide.data());
  });
  const at::TensorOptions options = at::TensorOptions().dtype(at::kDouble);
  FactorSums sums{at::zeros({task.rows, task.projected}, options), at::zeros({task.rows, task.rows}, options)};
  double* const ds = sums.source_gradient.data_ptr<double>();
  double* const gram = sums.gram.data_ptr<double>();
  for (int64_t i = 0; i < stretches; ++i) {
    const double* const part = partial.data() + i * count;
    for (int64_t j = 0; j < task.rows * task.projected; ++j) ds[j] += part[j];
    for (int64_t j = 0; j < task.rows * task.rows; ++j) gram[j] += part[task.rows * task.projected + j];
  }
  for (int64_t r = 0; r < task.rows; ++r)
    for (int64_t q = 0; q < r; ++q) gram[q * task.rows + r] = gram[r * task.rows + q];
  return sums;
}

}  // namespace

void generate(const at::Tensor& w, const at::Tensor& c, const at::Tensor& s, at::Tensor theta) {
  if constexpr (kHasOwnKernels)
    if (own_kernels_take(w)) return cuda_generate(w, c, s, theta);
  if (theta.is_contiguous()) {
    at::addmm_out(theta, c, s, w.t());
  } else {
    theta.copy_(at::addmm(c, s, w.t()));
  }
}

FactorSums factor_sums(const at::Tensor& w, const at::Tensor& g) {
  if (w.is_cpu() && g.stride(1) == 1)
    return w.scalar_type() == at::kDouble ? factor_sums_cpu<double>(w, g) : factor_sums_cpu<float>(w, g);
  if constexpr (kHasOwnKernels)
    if (own_kernels_take(w)) return cuda_factor_sums(w, g);
  const at::Tensor wide = g.to(at::kDouble);
  return {at::mm(g, w).to(at::kDouble), at::mm(wide, wide.t())};
}

at::Tensor factored_norm_squared(const at::Tensor& gram, const at::Tensor& s) {
  const at::Tensor wide = s.to(at::kDouble);
  return (gram * (at::mm(wide, wide.t()) + 1.0)).sum();
}

void low_rank_adam_update(at::Tensor w, at::Tensor c, at::Tensor w_m, at::Tensor w_v, at::Tensor c_m, at::Tensor c_v,
                          const at::Tensor& g, const at::Tensor& s, int64_t step, double rate, double scale,
                          const AdamOptions& options) {
  HYPERX_CHECK(w.is_cpu() && w.size(1) <= kMaxProjected && g.stride(1) == 1,
               "factors of a shape that the update does not take");
  AdamOptions bias_options = options;
  bias_options.weight_decay = 0;
  if (w.scalar_type() == at::kDouble) {
    low_rank_cpu<double>(w, c, w_m, w_v, c_m, c_v, g, s.contiguous(), adam_factors<double>(step, rate, scale, options),
                         adam_factors<double>(step, rate, scale, bias_options));
  } else {
    low_rank_cpu<float>(w, c, w_m, w_v, c_m, c_v, g, s.contiguous(), adam_factors<float>(step, rate, scale, options),
                        adam_factors<float>(step, rate, scale, bias_options));
  }
}

void low_rank_adam(const GeneratorState& state, const at::Tensor& g, const at::Tensor& s, const StepFactors& factors,
                   const AdamStep& step) {
  const auto& [w, c, w_m, w_v, c_m, c_v] = state;
  if (step.fused) {
    const StepFactors::OnHost& own = factors.host.front();
    if (own.active) low_rank_adam_update(w, c, w_m, w_v, c_m, c_v, g, s, own.count, step.rate, step.clip, step.adam);
    return;
  }
  if constexpr (kHasOwnKernels) {
    if (own_kernels_take(w) && cuda_low_rank_adam_fits(w, s.size(0))) {
      cuda_low_rank_adam({w, c, w_m, w_v, c_m, c_v, g, s, {}, {}, step.control, factors.counts}, step.rate, step.adam);
      return;
    }
  }
  for (int64_t begin = 0; begin < w.size(0); begin += kBlockRows) {
    const int64_t rows = std::min(kBlockRows, w.size(0) - begin);
    const auto block = [&](const at::Tensor& whole) { return whole.narrow(0, begin, rows); };
    adam(block(w), at::mm(g.narrow(1, begin, rows).t(), s), block(w_m), block(w_v), factors, step);
  }
  adam(c, g.sum(0), c_m, c_v, factors, step.without_decay());
}

}  // namespace hyperx::model

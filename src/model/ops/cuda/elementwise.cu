#include "model/ops/cuda/elementwise.h"
#include "model/ops/cuda/partial_sums.cuh"

// A thread block covers 256 features of 32 rows: one row per warp, 8 features per lane (512 bytes of bf16 in one load);
// the warps take the rows in turn. A lane keeps its features, so the bias is read once and sums over rows stay in
// registers; 3,072 features of 700 rows are 264 thread blocks.
//
// Bytes per value in bf16: 4 forward, 6 backward, 4 for a mask. At 4 TB/s GELU of 16,000 x 3,072 takes 49 us and 74 us;
// its 25 instructions per value take 45 us of another pipe, which overlap with memory accesses if there are enough
// warps. All kernels are limited by bandwidth, small calls by their launch.
namespace hyperx::model::kernels {
inline namespace HYPERX_KERNEL_BUILD {
namespace {

constexpr int kWarps = 8;  // per thread block
constexpr int kTileFeatures = kWarpLanes * kBlockFeatures;
static_assert(kElementChunkRows % kWarps == 0);

// The normal distribution's Phi(x) and exp(-x^2 / 2), with the CPU's fit (vector_math.h). Its error of 2.2e-7 is
// relative to the value even far out, where 1 + erf(x) has lost its digits. The backward pass needs both.
struct NormalShare {
  float phi, e;
};
__device__ inline NormalShare normal_share(float x) {
  const float a = fabsf(x), e = expf(-0.5F * a * a), u = __fdividef(1.0F, 1.0F + 0.3F * a);
  float q = -0.0207851062F;
  q = q * u + 0.113291528F;
  q = q * u - 0.230165612F;
  q = q * u + 0.19429247F;
  q = q * u - 0.081416195F;
  q = q * u + 0.0971677867F;
  q = q * u + 0.0780638296F;
  q = q * u + 0.110299374F;
  q = q * u + 0.119564926F;
  q = q * u + 0.119686997F;
  const float tail = e * u * q;
  return {x < 0.0F ? tail : 1.0F - tail, e};
}
constexpr float kInverseSqrtTwoPi = 0.39894228040143267794F;

struct Gelu {
  static __device__ float value(float x) { return x * normal_share(x).phi; }
  static __device__ float slope(float x) {
    const NormalShare share = normal_share(x);
    return share.phi + x * share.e * kInverseSqrtTwoPi;
  }
  static constexpr bool kSlopeOfInput = true;
};
struct Relu {
  static __device__ float value(float x) { return fmaxf(x, 0.0F); }
  static __device__ float slope(float y) { return y > 0.0F ? 1.0F : 0.0F; }
  static constexpr bool kSlopeOfInput = false;  // of the output: it is positive where x + bias is
};

// The operands of a kernel.
struct Work {
  int64_t rows, width;
  const void *x, *bias, *dy;
  void* out;
  float* partials;  // [chunks, width] or null
  KeyedMask mask;
};

// Calls compute(row, feature, values) for the lane's block of each row. `values` starts as the row of `from`; the
// result is stored in out, and summed if there are partials.
template <class T, bool kVector, class Compute>
__device__ inline void for_blocks(const Work& work, const void* from, const Compute& compute) {
  const int lane = static_cast<int>(threadIdx.x), warp = static_cast<int>(threadIdx.y);
  const int64_t feature = static_cast<int64_t>(blockIdx.y) * kTileFeatures + lane * kBlockFeatures;
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * kElementChunkRows, width = work.width;
  float sums[kBlockFeatures] = {};
  if (feature < width) HYPERX_UNROLL_4
  for (int i = 0; i < kElementChunkRows / kWarps; ++i) {
    const int64_t row = begin + i * kWarps + warp;
    if (row >= work.rows) break;
    float values[kBlockFeatures];
    load_block<kVector>(static_cast<const T*>(from) + row * width, feature, width, values);
    compute(row, feature, values);
    store_block<kVector>(static_cast<T*>(work.out) + row * width, feature, width, values);
    HYPERX_UNROLL
    for (int k = 0; k < kBlockFeatures; ++k) sums[k] += values[k];
  }
  if (work.partials == nullptr) return;          // the same for all threads
  float* const shared = shared_memory<float>();  // [warps, 8, lanes]: lanes are adjacent, one bank each
  HYPERX_UNROLL
  for (int k = 0; k < kBlockFeatures; ++k) shared[(warp * kBlockFeatures + k) * kWarpLanes + lane] = sums[k];
  __syncthreads();
  const int own = warp * kWarpLanes + lane;  // one of the tile's 256 features
  const int place = own % kBlockFeatures * kWarpLanes + own / kBlockFeatures;
  float sum = 0.0F;
  HYPERX_UNROLL
  for (int other = 0; other < kWarps; ++other) sum += shared[other * kTileFeatures + place];
  const int64_t at = static_cast<int64_t>(blockIdx.y) * kTileFeatures + own;
  if (at < width) work.partials[static_cast<int64_t>(blockIdx.x) * width + at] = sum;
}
static_assert(kWarps * kWarpLanes == kTileFeatures);

// The lane's block of the bias, or zeros.
template <class T, bool kVector>
__device__ inline void load_bias(const Work& work, float* bias) {
  const int64_t feature =
      static_cast<int64_t>(blockIdx.y) * kTileFeatures + static_cast<int64_t>(threadIdx.x) * kBlockFeatures;
  HYPERX_UNROLL
  for (int i = 0; i < kBlockFeatures; ++i) bias[i] = 0.0F;
  if (work.bias != nullptr && feature < work.width)
    load_block<kVector>(static_cast<const T*>(work.bias), feature, work.width, bias);
}

template <class T, bool kVector, class Function>
__global__ void __launch_bounds__(kWarps* kWarpLanes) activation_kernel(Work work) {
  float bias[kBlockFeatures];
  load_bias<T, kVector>(work, bias);
  for_blocks<T, kVector>(work, work.x, [&](int64_t, int64_t, float* values) {
    HYPERX_UNROLL
    for (int i = 0; i < kBlockFeatures; ++i) values[i] = Function::value(values[i] + bias[i]);
  });
}

template <class T, bool kVector, class Function>
__global__ void __launch_bounds__(kWarps* kWarpLanes) activation_backward_kernel(Work work) {
  float bias[kBlockFeatures];
  load_bias<T, kVector>(work, bias);
  for_blocks<T, kVector>(work, work.dy, [&](int64_t row, int64_t feature, float* values) {
    float saved[kBlockFeatures];
    load_block<kVector>(static_cast<const T*>(work.x) + row * work.width, feature, work.width, saved);
    HYPERX_UNROLL
    for (int i = 0; i < kBlockFeatures; ++i)
      values[i] *= Function::slope(Function::kSlopeOfInput ? saved[i] + bias[i] : saved[i]);
  });
}

template <class T, bool kVector>
__global__ void __launch_bounds__(kWarps* kWarpLanes) masked_sum_kernel(Work work) {
  float bias[kBlockFeatures];
  load_bias<T, kVector>(work, bias);
  const MaskDraw draw = mask_draw(work.mask);
  for_blocks<T, kVector>(work, work.x, [&](int64_t row, int64_t feature, float* values) {
    HYPERX_UNROLL
    for (int i = 0; i < kBlockFeatures; ++i) values[i] += bias[i];
    if (draw.slots != nullptr) apply_mask(draw, row, feature, values);
  });
}

template <class T, bool kVector>
__global__ void __launch_bounds__(kWarps* kWarpLanes)
    embedding_kernel(Elements shape, const int64_t* ids, const int64_t* positions, EmbeddingTables tables, T* out) {
  const int64_t width = shape.width, row = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.y;
  const int64_t feature =
      static_cast<int64_t>(blockIdx.y) * kTileFeatures + static_cast<int64_t>(threadIdx.x) * kBlockFeatures;
  if (row >= shape.rows || feature >= width) return;
  float values[kBlockFeatures], term[kBlockFeatures];
  load_block<kVector>(tables.word + ids[row] * width, feature, width, values);
  load_block<kVector>(tables.position + (positions[row] + tables.position_offset) * width, feature, width, term);
  HYPERX_UNROLL
  for (int i = 0; i < kBlockFeatures; ++i) values[i] += term[i];
  load_block<kVector>(tables.type, feature, width, term);
  HYPERX_UNROLL
  for (int i = 0; i < kBlockFeatures; ++i) values[i] += term[i];
  store_block<kVector>(out + row * width, feature, width, values);
}

using WorkKernel = void (*)(Work);

void launch_work(const char* name, WorkKernel kernel, const Work& work, Stream stream) {
  if (work.rows == 0) return;
  const int64_t shared = work.partials == nullptr ? 0 : static_cast<int64_t>(sizeof(float)) * kWarps * kTileFeatures;
  launch(name, kernel,
         dim3(static_cast<unsigned>(ceil_divide(work.rows, kElementChunkRows)),
              static_cast<unsigned>(ceil_divide(work.width, kTileFeatures))),
         dim3(kWarpLanes, kWarps), shared, stream, work);
}

template <class T>
void add_sums(const Work& work, void* sums, Stream stream) {
  if (work.partials != nullptr)
    add_partials<float, T>(work.partials, ceil_divide(work.rows, kElementChunkRows), work.width, work.width,
                           {nullptr, 0, static_cast<T*>(sums)}, stream);
}

Work work_of(const Elements& shape) {
  return {shape.rows, shape.width, nullptr, nullptr, nullptr, nullptr, nullptr, {}};
}

}  // namespace

int64_t element_partial_values(int64_t rows, int64_t width) { return ceil_divide(rows, kElementChunkRows) * width; }

void biased_activation_forward(const Elements& shape, ActivationKind kind, const void* x, const void* bias, void* y,
                               Stream stream) {
  Work work = work_of(shape);
  work.x = x;
  work.bias = bias;
  work.out = y;
  with_row_type(shape.type, loads_as_vectors(shape.width, {x, bias, y}), [&](auto row, auto vector) {
    using T = decltype(row);
    constexpr bool kVector = decltype(vector)::value;
    launch_work(
        "biased_activation",
        kind == ActivationKind::kGelu ? activation_kernel<T, kVector, Gelu> : activation_kernel<T, kVector, Relu>, work,
        stream);
  });
}

void biased_activation_backward(const Elements& shape, ActivationKind kind, const void* saved, const void* bias,
                                const void* dy, void* dx, void* dbias, float* partials, Stream stream) {
  Work work = work_of(shape);
  work.x = saved;
  work.bias = kind == ActivationKind::kGelu ? bias : nullptr;
  work.dy = dy;
  work.out = dx;
  work.partials = dbias == nullptr ? nullptr : partials;
  with_row_type(shape.type, loads_as_vectors(shape.width, {saved, work.bias, dy, dx}), [&](auto row, auto vector) {
    using T = decltype(row);
    constexpr bool kVector = decltype(vector)::value;
    launch_work("biased_activation_backward",
                kind == ActivationKind::kGelu ? activation_backward_kernel<T, kVector, Gelu>
                                              : activation_backward_kernel<T, kVector, Relu>,
                work, stream);
    add_sums<T>(work, dbias, stream);
  });
}

void masked_sum(const Elements& shape, const void* x, const void* bias, const KeyedMask& mask, void* out, void* sums,
                float* partials, Stream stream) {
  Work work = work_of(shape);
  work.x = x;
  work.bias = bias;
  work.mask = mask;
  work.out = out;
  work.partials = sums == nullptr ? nullptr : partials;
  with_row_type(shape.type, loads_as_vectors(shape.width, {x, bias, out}), [&](auto row, auto vector) {
    using T = decltype(row);
    launch_work("masked_sum", masked_sum_kernel<T, decltype(vector)::value>, work, stream);
    add_sums<T>(work, sums, stream);
  });
}

void embedding_sum(const Elements& shape, const int64_t* ids, const int64_t* positions, const EmbeddingTables& tables,
                   void* out, Stream stream) {
  if (shape.rows == 0) return;
  const bool vectors = loads_as_vectors(shape.width, {tables.word, tables.position, tables.type, out});
  with_row_type(shape.type, vectors, [&](auto row, auto vector) {
    using T = decltype(row);
    launch("embedding_sum", embedding_kernel<T, decltype(vector)::value>,
           dim3(static_cast<unsigned>(ceil_divide(shape.rows, kWarps)),
                static_cast<unsigned>(ceil_divide(shape.width, kTileFeatures))),
           dim3(kWarpLanes, kWarps), 0, stream, shape, ids, positions, tables, static_cast<T*>(out));
  });
}

}  // namespace HYPERX_KERNEL_BUILD
}  // namespace hyperx::model::kernels

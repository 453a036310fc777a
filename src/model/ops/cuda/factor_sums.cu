#include <algorithm>

#include "model/ops/cuda/partial_sums.cuh"
#include "model/ops/cuda/row_products.cuh"

// 394,240 x 192 with 12 sources: 303 MB of W, twice 19 of g, 14 of partial sums: 89 us at 4 TB/s. A thread keeps 4
// columns of 12 sources in 48 registers, so 16 bytes of W serve 48 multiply-adds with 3 reads of shared memory (32 us
// of an H100's fp32 pipe): bandwidth is the limit, with 5 thread blocks of 96 threads per SM and 8 loads per thread in
// flight. More sources form more groups of 12, whose thread blocks run side by side and find W in the L2 cache.
namespace hyperx::model::kernels {
inline namespace HYPERX_KERNEL_BUILD {
namespace {

constexpr int kFloatRows = 64;     // summed in fp32 before they are added in fp64, as on the CPU
constexpr int kMostThreads = 128;  // per thread block: columns / 4, times lanes
constexpr int kMostColumnQuads = 64;
constexpr int kMostLanes = kStretchRows / kFloatRows;
constexpr int kLanePadding = 4;  // values between the lanes' tiles of g: two lanes of a warp use different banks
constexpr int kMostGroupSources = 12;

struct Sums {
  GeneratorSize size;
  const float *w, *g;
  int64_t rows, g_stride, groups;
  double* partials;  // [stretches, values]
  __host__ __device__ int64_t values() const { return rows * (size.projected + rows); }
};

// A thread block: some columns, one stretch of W's rows, one group of sources. threadIdx.x: 4 columns; threadIdx.y: a
// lane that takes tiles of 64 rows.
template <bool kVector, int kSources>
__global__ void __launch_bounds__(kMostThreads) source_sums_kernel(Sums call) {
  constexpr int kTileValues = kFloatRows * kSources + kLanePadding;
  const int threads = static_cast<int>(blockDim.x * blockDim.y), lanes = static_cast<int>(blockDim.y);
  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x), lane = static_cast<int>(threadIdx.y);
  double* const totals = shared_memory<double>();                                    // [sources * 4, threads]
  float* const g_tiles = reinterpret_cast<float*>(totals + 4 * kSources * threads);  // [lanes, 64 rows, sources]
  const int64_t projected = call.size.projected, first_source = blockIdx.x % call.groups * kSources;
  const int64_t stretch = blockIdx.x / call.groups, begin = stretch * kStretchRows;
  const int64_t end = min(begin + kStretchRows, call.size.theta);
  const int64_t column = (static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x) * 4;
  HYPERX_UNROLL
  for (int i = 0; i < 4 * kSources; ++i) totals[i * threads + thread] = 0.0;
  for (int64_t base = begin; base < end; base += lanes * kFloatRows) {
    __syncthreads();
    for (int i = thread; i < lanes * kFloatRows * kSources; i += threads) {
      const int source = i / (lanes * kFloatRows), row = i % (lanes * kFloatRows);
      const bool inside = base + row < end && first_source + source < call.rows;
      g_tiles[row / kFloatRows * kTileValues + row % kFloatRows * kSources + source] =
          inside ? call.g[(first_source + source) * call.g_stride + base + row] : 0.0F;
    }
    __syncthreads();
    const int64_t first = base + lane * kFloatRows;
    const int depth = static_cast<int>(min(end - first, static_cast<int64_t>(kFloatRows)));
    const float* const g = g_tiles + lane * kTileValues;
    float4 sums[kSources];
    HYPERX_UNROLL
    for (int source = 0; source < kSources; ++source) sums[source] = make_float4(0.0F, 0.0F, 0.0F, 0.0F);
    HYPERX_UNROLL_8
    for (int row = 0; row < depth; ++row) {
      const float4 w = load_quad<kVector>(call.w + (first + row) * projected, column, projected);
      HYPERX_UNROLL
      for (int four = 0; four < kSources; four += 4) {
        const float4 g4 = *reinterpret_cast<const float4*>(g + row * kSources + four);
        const float factors[4] = {g4.x, g4.y, g4.z, g4.w};
        HYPERX_UNROLL
        for (int i = 0; i < 4; ++i) {
          float4& sum = sums[four + i];
          sum = make_float4(fmaf(factors[i], w.x, sum.x), fmaf(factors[i], w.y, sum.y), fmaf(factors[i], w.z, sum.z),
                            fmaf(factors[i], w.w, sum.w));
        }
      }
    }
    HYPERX_UNROLL
    for (int source = 0; source < kSources; ++source) {  // the thread's own elements: no barrier
      double* const own = totals + 4 * source * threads + thread;
      own[0] += sums[source].x;
      own[threads] += sums[source].y;
      own[2 * threads] += sums[source].z;
      own[3 * threads] += sums[source].w;
    }
  }
  __syncthreads();
  if (lane != 0) return;
  for (int i = 0; i < 4 * kSources; ++i) {
    const int64_t source = first_source + i / 4;
    if (source >= call.rows || column + i % 4 >= projected) continue;
    double total = 0.0;
    for (int other = 0; other < lanes; ++other)
      total += totals[i * threads + other * static_cast<int>(blockDim.x) + thread];
    call.partials[stretch * call.values() + source * projected + column + i % 4] = total;
  }
}

constexpr int kGramRows = 4;   // a warp sums the products of 4 rows of g with 4 others, a lane every 32nd value
constexpr int kGramWarps = 4;  // per thread block

__device__ inline double warp_sum(double value) {
  HYPERX_UNROLL
  for (int lane = kWarpLanes / 2; lane > 0; lane /= 2) value += __shfl_xor_sync(kAllLanes, value, lane);
  return value;
}

// blockIdx.x: stretch. Each warp takes a pair of blocks of 4 rows, in the lower triangle, row by row.
__global__ void __launch_bounds__(kGramWarps* kWarpLanes) gram_kernel(Sums call) {
  const int lane = static_cast<int>(threadIdx.x);
  const int64_t blocks = ceil_divide(call.rows, kGramRows);
  int64_t left = static_cast<int64_t>(blockIdx.y) * kGramWarps + threadIdx.y, block = 0;
  while (left > block) left -= ++block;  // pair (block, left) with left <= block
  if (block >= blocks) return;           // a whole warp
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * kStretchRows;
  const int64_t end = min(begin + kStretchRows, call.size.theta), last = call.rows - 1;
  double sums[kGramRows][kGramRows] = {};
  for (int64_t n = begin + lane; n < end; n += kWarpLanes) {
    double a[kGramRows], b[kGramRows];
    HYPERX_UNROLL
    for (int i = 0; i < kGramRows; ++i) {
      a[i] = call.g[min(block * kGramRows + i, last) * call.g_stride + n];
      b[i] = call.g[min(left * kGramRows + i, last) * call.g_stride + n];
    }
    HYPERX_UNROLL
    for (int i = 0; i < kGramRows; ++i) {
      HYPERX_UNROLL
      for (int k = 0; k < kGramRows; ++k) sums[i][k] += a[i] * b[k];
    }
  }
  double* const gram =
      call.partials + static_cast<int64_t>(blockIdx.x) * call.values() + call.rows * call.size.projected;
  HYPERX_UNROLL
  for (int i = 0; i < kGramRows; ++i) {
    HYPERX_UNROLL
    for (int k = 0; k < kGramRows; ++k) {
      const double sum = warp_sum(sums[i][k]);
      const int64_t r = block * kGramRows + i, q = left * kGramRows + k;
      if (lane != 0 || r > last || q > r) continue;
      gram[r * call.rows + q] = sum;
      gram[q * call.rows + r] = sum;
    }
  }
}

template <bool kVector, int kSources>
void launch_source_sums(const Sums& call, int64_t stretches, Stream stream) {
  const int64_t quads = ceil_divide(call.size.projected, 4), tiles = ceil_divide(quads, kMostColumnQuads);
  const int64_t columns = ceil_divide(quads, tiles);
  const int64_t lanes = std::clamp<int64_t>(kMostThreads / columns, 1, kMostLanes);
  const int64_t bytes = static_cast<int64_t>(sizeof(double)) * 4 * kSources * columns * lanes +
                        static_cast<int64_t>(sizeof(float)) * lanes * (kFloatRows * kSources + kLanePadding);
  launch("factor_sums", source_sums_kernel<kVector, kSources>,
         dim3(static_cast<unsigned>(stretches * call.groups), static_cast<unsigned>(tiles)),
         dim3(static_cast<unsigned>(columns), static_cast<unsigned>(lanes)), bytes, stream, call);
}

template <bool kVector>
void sum_sources(const Sums& call, int64_t group_sources, int64_t stretches, Stream stream) {
  if (group_sources == 4) return launch_source_sums<kVector, 4>(call, stretches, stream);
  if (group_sources == 8) return launch_source_sums<kVector, 8>(call, stretches, stream);
  launch_source_sums<kVector, kMostGroupSources>(call, stretches, stream);
}

}  // namespace

int64_t factor_partial_values(const GeneratorSize& size, int64_t rows) {
  return ceil_divide(size.theta, kStretchRows) * rows * (size.projected + rows);
}

void factor_sums(const GeneratorSize& size, const float* w, int64_t rows, const float* g, int64_t g_stride,
                 double* sums, double* partials, Stream stream) {
  if (rows == 0) return;
  const int64_t stretches = ceil_divide(size.theta, kStretchRows);
  const int64_t groups = ceil_divide(rows, kMostGroupSources);
  const int64_t group_sources = round_up(ceil_divide(rows, groups), 4);
  const Sums call{size, w, g, rows, g_stride, groups, partials};
  if (stretches > 0) {
    if (quads_as_vectors(size.projected, {w})) {
      sum_sources<true>(call, group_sources, stretches, stream);
    } else {
      sum_sources<false>(call, group_sources, stretches, stream);
    }
    const int64_t blocks = ceil_divide(rows, kGramRows), pairs = blocks * (blocks + 1) / 2;
    launch("gram", gram_kernel,
           dim3(static_cast<unsigned>(stretches), static_cast<unsigned>(ceil_divide(pairs, kGramWarps))),
           dim3(kWarpLanes, kGramWarps), 0, stream, call);
  }
  add_partials<double, float>(partials, stretches, call.values(), call.values(), {sums, call.values(), nullptr},
                              stream);
}

}  // namespace HYPERX_KERNEL_BUILD
}  // namespace hyperx::model::kernels

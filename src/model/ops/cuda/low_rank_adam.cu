#include <algorithm>

#include "model/ops/cuda/adam_rule.cuh"
#include "model/ops/cuda/row_products.cuh"

// W and two moments are read and written: 1.82 GB for 394,240 x 192, 450 us at 4 TB/s; computing theta of the next step
// in the same pass saves 303 MB of reading W again. Arithmetic is about 55 instructions per value (12 multiply-adds for
// the gradient and 12 for theta, a square root and a quotient), 145 us on an H100: bandwidth is the limit. The tiles
// are those of row_products.cuh; a lane has 12 loads of 16 bytes in flight, so 12 to 16 warps per SM are enough.
namespace hyperx::model::kernels {
inline namespace HYPERX_KERNEL_BUILD {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / kWarpLanes;
constexpr int64_t kFactorValues = round_up(sizeof(AdamFactors) / sizeof(float), 4);

// Values in shared memory: factors, sources, next sources, and for each warp g [padded rows, 8 rows of W].
int64_t shared_values(int64_t rows, int64_t next_rows, int64_t projected) {
  return kFactorValues + source_values(rows, projected) + source_values(next_rows, projected) +
         kWarps * padded_sources(rows) * kWarpRows;
}

// g of the warp's rows of W; 0 beyond the end.
__device__ inline void stage_g(const LowRankAdam& call, int64_t first_row, int lane, float* g_tile) {
  const int64_t count = padded_sources(call.sources.rows) * kWarpRows;
  for (int64_t i = lane; i < count; i += kWarpLanes) {
    const int64_t source = i / kWarpRows, row = first_row + i % kWarpRows;
    g_tile[i] = source < call.sources.rows && row < call.size.theta ? call.g[source * call.g_stride + row] : 0.0F;
  }
}

// Updates a tile's rows in one chunk of columns; returns the new W in w.
template <bool kVector>
__device__ inline void update_chunk(const LowRankAdam& call, const Place& place, int chunk, const float* staged,
                                    const float* own_g, const AdamFactors& factors, float4 (&w)[kTileRows]) {
  const int64_t projected = call.size.projected, width = padded_projected(projected), column = place.column(chunk);
  float4 m[kTileRows], v[kTileRows], gradient[kTileRows];
  HYPERX_UNROLL
  for (int row = 0; row < kTileRows; ++row) {  // all loads before any use
    const int64_t at = min(place.row + row, call.size.theta - 1) * projected;
    w[row] = load_quad<kVector>(call.w + at, column, projected);
    m[row] = load_quad<kVector>(call.w_m + at, column, projected);
    v[row] = load_quad<kVector>(call.w_v + at, column, projected);
    gradient[row] = make_float4(0.0F, 0.0F, 0.0F, 0.0F);
  }
  HYPERX_UNROLL_4
  for (int64_t source = 0; source < call.sources.rows; ++source) {
    const float4 s = *reinterpret_cast<const float4*>(staged + source * width + column);
    const float4 g = *reinterpret_cast<const float4*>(own_g + source * kWarpRows);
    const float of_row[kTileRows] = {g.x, g.y, g.z, g.w};
    HYPERX_UNROLL
    for (int row = 0; row < kTileRows; ++row) {
      gradient[row].x = fmaf(of_row[row], s.x, gradient[row].x);
      gradient[row].y = fmaf(of_row[row], s.y, gradient[row].y);
      gradient[row].z = fmaf(of_row[row], s.z, gradient[row].z);
      gradient[row].w = fmaf(of_row[row], s.w, gradient[row].w);
    }
  }
  HYPERX_UNROLL
  for (int row = 0; row < kTileRows; ++row) {
    adam_value(w[row].x, gradient[row].x, m[row].x, v[row].x, factors, factors.decay);
    adam_value(w[row].y, gradient[row].y, m[row].y, v[row].y, factors, factors.decay);
    adam_value(w[row].z, gradient[row].z, m[row].z, v[row].z, factors, factors.decay);
    adam_value(w[row].w, gradient[row].w, m[row].w, v[row].w, factors, factors.decay);
    if (place.row + row >= call.size.theta) continue;
    const int64_t at = (place.row + row) * projected;
    store_quad<kVector>(call.w + at, column, projected, w[row]);
    store_quad<kVector>(call.w_m + at, column, projected, m[row]);
    store_quad<kVector>(call.w_v + at, column, projected, v[row]);
  }
}

// Updates and returns c of the lane's own row. Four lanes of a half-warp compute the same value; one stores it.
__device__ inline float update_bias(const LowRankAdam& call, const Place& place, const float* own_g,
                                    const AdamFactors& factors) {
  const int64_t at = min(place.own_row(), call.size.theta - 1);
  float gradient = 0.0F;
  for (int64_t source = 0; source < call.sources.rows; ++source)
    gradient += own_g[source * kWarpRows + place.lane % kTileRows];
  float c = call.c[at], m = call.c_m[at], v = call.c_v[at];
  adam_value(c, gradient, m, v, factors, 1.0F);
  __syncwarp();  // all lanes have read
  if (place.own_source() == 0 && place.own_row() < call.size.theta) {
    call.c[at] = c;
    call.c_m[at] = m;
    call.c_v[at] = v;
  }
  return c;
}

template <bool kVector, int kChunks>
__global__ void __launch_bounds__(kThreads) low_rank_adam_kernel(LowRankAdam call) {
  float* const shared = shared_memory<float>();
  const int64_t projected = call.size.projected;
  float* const staged = shared + kFactorValues;
  float* const staged_next = staged + source_values(call.sources.rows, projected);
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes, warp = static_cast<int>(threadIdx.x) / kWarpLanes;
  float* const g_tile =
      staged_next + source_values(call.next.rows, projected) + warp * padded_sources(call.sources.rows) * kWarpRows;
  const bool updates = call.control->finite != 0.0F;
  if (!updates && call.next.rows == 0) return;
  if (threadIdx.x == 0)
    *reinterpret_cast<AdamFactors*>(shared) = adam_factors(call.rule, *call.count, call.control->scale);
  stage_sources(call.sources, projected, staged);
  stage_sources(call.next, projected, staged_next);
  __syncthreads();
  const AdamFactors factors = *reinterpret_cast<const AdamFactors*>(shared);
  const int chunks = static_cast<int>(padded_projected(projected) / kChunkColumns);
  const int64_t tiles = ceil_divide(call.size.theta, kWarpRows);
  for (int64_t tile = static_cast<int64_t>(blockIdx.x) * kWarps + warp; tile < tiles;
       tile += static_cast<int64_t>(gridDim.x) * kWarps) {
    const Place place{lane % kHalfLanes, tile * kWarpRows + lane / kHalfLanes * kTileRows};
    const float* const own_g = g_tile + lane / kHalfLanes * kTileRows;
    const auto load = [&](int row, int chunk) {
      return load_quad<kVector>(call.w + min(place.row + row, call.size.theta - 1) * projected, place.column(chunk),
                                projected);
    };
    float bias = 0.0F;
    float4 kept[kChunks > 0 ? kChunks : 1][kTileRows];
    if (updates) {
      __syncwarp();  // the previous tile is finished
      stage_g(call, tile * kWarpRows, lane, g_tile);
      __syncwarp();
      bias = update_bias(call, place, own_g, factors);
      HYPERX_UNROLL
      for (int chunk = 0; chunk < (kChunks > 0 ? kChunks : chunks); ++chunk)
        update_chunk<kVector>(call, place, chunk, staged, own_g, factors, kept[kChunks > 0 ? chunk : 0]);
    } else {
      bias = call.c[min(place.own_row(), call.size.theta - 1)];
      if constexpr (kChunks > 0) {
        HYPERX_UNROLL
        for (int chunk = 0; chunk < kChunks; ++chunk) {
          HYPERX_UNROLL
          for (int row = 0; row < kTileRows; ++row) kept[chunk][row] = load(row, chunk);
        }
      }
    }
    if (call.next.rows == 0) continue;
    if constexpr (kChunks > 0) {
      write_theta<kChunks>([&](int row, int chunk) { return kept[chunk][row]; }, call.size, staged_next, call.next.rows,
                           bias, place, call.theta_next, call.theta_next_stride);
    } else {  // each lane reads the values that it wrote itself
      write_theta<kChunks>(load, call.size, staged_next, call.next.rows, bias, place, call.theta_next,
                           call.theta_next_stride);
    }
  }
}

}  // namespace

bool low_rank_adam_fits(int64_t rows, int64_t next_rows, int64_t projected) {
  return shared_values(rows, next_rows, projected) * static_cast<int64_t>(sizeof(float)) <= most_shared_bytes();
}

void low_rank_adam(const LowRankAdam& call, Stream stream) {
  if (call.size.theta == 0) return;
  if (!low_rank_adam_fits(call.sources.rows, call.next.rows, call.size.projected))
    throw SystemError("low_rank_adam: more sources than the shared memory holds");
  const int64_t useful_blocks = ceil_divide(call.size.theta, kWarps * kWarpRows);
  const int64_t bytes =
      static_cast<int64_t>(sizeof(float)) * shared_values(call.sources.rows, call.next.rows, call.size.projected);
  with_chunks(
      quads_as_vectors(call.size.projected, {call.w, call.w_m, call.w_v}), call.size.projected,
      [&](auto vector, auto chunks) {
        const auto kernel = low_rank_adam_kernel<decltype(vector)::value, decltype(chunks)::value>;
        const int64_t blocks = std::min(useful_blocks, resident_blocks("low_rank_adam", kernel, kThreads, bytes));
        launch("low_rank_adam", kernel, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), bytes, stream, call);
      });
}

}  // namespace HYPERX_KERNEL_BUILD
}  // namespace hyperx::model::kernels

#pragma once

#include "model/ops/cuda/generator.h"
#include "model/ops/cuda/rows.cuh"

// Products of rows of W with sources, for generate() and for the update that also computes the next theta: one
// function, so that both give the same bits.
//
// A half-warp takes 4 rows of W and a lane takes 4 columns of every 64: loads are 256 bytes per row, and each value of
// s that a lane reads from shared memory is used for 4 rows. The sums of 4 rows x 4 sources are in 16 registers. 15
// shuffles then add the parts of the 16 lanes and leave each lane one of the 16 results, which form 8 adjacent values
// of theta per source and warp.
namespace hyperx::model::kernels {
inline namespace HYPERX_KERNEL_BUILD {

constexpr int kHalfLanes = 16;
constexpr int kTileRows = 4;                   // of W, per half-warp
constexpr int kWarpRows = 2 * kTileRows;       // per warp
constexpr int kGroupSources = 4;               // rows of s at a time
constexpr int kChunkColumns = 4 * kHalfLanes;  // of W, covered by a half-warp at a time
constexpr int kMostKeptChunks = 4;             // of W's rows in registers: projected up to 256

// Sources are in shared memory with rows and columns padded with zeros to whole groups.
constexpr int64_t padded_sources(int64_t rows) { return round_up(rows, kGroupSources); }
constexpr int64_t padded_projected(int64_t projected) { return round_up(projected, kChunkColumns); }
constexpr int64_t source_values(int64_t rows, int64_t projected) {
  return padded_sources(rows) * padded_projected(projected);
}

// Called by all threads of a block; `shared` [padded rows, padded columns]. Ends without a barrier.
__device__ inline void stage_sources(const Sources& sources, int64_t projected, float* shared) {
  const int width = static_cast<int>(padded_projected(projected));
  const int count = static_cast<int>(source_values(sources.rows, projected));  // limited by shared memory
  for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) {
    const int row = i / width, column = i % width;
    shared[i] = row < sources.rows && column < projected ? sources.s[row * projected + column] : 0.0F;
  }
}

// Four columns of a row of `width`; 0 beyond its end.
template <bool kVector>
__device__ inline float4 load_quad(const float* row, int64_t column, int64_t width) {
  if constexpr (kVector) {
    return column < width ? *reinterpret_cast<const float4*>(row + column) : make_float4(0.0F, 0.0F, 0.0F, 0.0F);
  } else {
    return make_float4(column < width ? row[column] : 0.0F, column + 1 < width ? row[column + 1] : 0.0F,
                       column + 2 < width ? row[column + 2] : 0.0F, column + 3 < width ? row[column + 3] : 0.0F);
  }
}
template <bool kVector>
__device__ inline void store_quad(float* row, int64_t column, int64_t width, float4 quad) {
  if constexpr (kVector) {
    if (column < width) *reinterpret_cast<float4*>(row + column) = quad;
  } else {
    if (column < width) row[column] = quad.x;
    if (column + 1 < width) row[column + 1] = quad.y;
    if (column + 2 < width) row[column + 2] = quad.z;
    if (column + 3 < width) row[column + 3] = quad.w;
  }
}

// A thread's position in a pass over W.
struct Place {
  int lane;     // of its half-warp
  int64_t row;  // first row of its half-warp
  __device__ int64_t column(int chunk) const { return static_cast<int64_t>(chunk) * kChunkColumns + 4 * lane; }
  __device__ int64_t own_row() const { return row + lane % kTileRows; }  // of the product that it ends up with
  __device__ int own_source() const { return lane / kTileRows; }         // of the group of sources
};

__device__ inline float add_products(float sum, float4 a, float4 b) {
  return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, sum))));
}

// The product of row place.own_row() with source place.own_source() of the four at `sources` in shared memory.
// load(row, chunk) returns the lane's four values of a tile's row. All lanes of a warp must call it.
template <int kChunks, class Load>
__device__ inline float row_products(const Load& load, int chunks, const float* sources, int64_t width,
                                     const Place& place) {
  float sums[kGroupSources * kTileRows] = {};
  HYPERX_UNROLL
  for (int chunk = 0; chunk < (kChunks > 0 ? kChunks : chunks); ++chunk) {
    float4 w[kTileRows];
    HYPERX_UNROLL
    for (int row = 0; row < kTileRows; ++row) w[row] = load(row, chunk);
    HYPERX_UNROLL
    for (int source = 0; source < kGroupSources; ++source) {
      const float4 s = *reinterpret_cast<const float4*>(sources + source * width + place.column(chunk));
      HYPERX_UNROLL
      for (int row = 0; row < kTileRows; ++row) {
        float& sum = sums[source * kTileRows + row];
        sum = add_products(sum, w[row], s);
      }
    }
  }
  HYPERX_UNROLL
  for (int stage = 0; stage < 4; ++stage) {
    const int half = kHalfLanes / 2 >> stage;
    const bool upper = (place.lane & half) != 0;  // keeps the upper half of the sums, and sends the lower one
    HYPERX_UNROLL
    for (int i = 0; i < kHalfLanes / 2; ++i) {
      if (i >= half) continue;
      const float given = __shfl_xor_sync(kAllLanes, upper ? sums[i] : sums[i + half], half);
      sums[i] = (upper ? sums[i + half] : sums[i]) + given;
    }
  }
  return sums[0];
}

// theta [sources.rows, theta] of the place's rows: `staged` sources; bias is c of the lane's own row.
template <int kChunks, class Load>
__device__ inline void write_theta(const Load& load, const GeneratorSize& size, const float* staged, int64_t rows,
                                   float bias, const Place& place, float* theta, int64_t theta_stride) {
  const int64_t width = padded_projected(size.projected);
  const int chunks = static_cast<int>(width / kChunkColumns);
  for (int64_t first = 0; first < rows; first += kGroupSources) {
    const float product = row_products<kChunks>(load, chunks, staged + first * width, width, place);
    const int64_t source = first + place.own_source();
    if (place.own_row() < size.theta && source < rows) theta[source * theta_stride + place.own_row()] = product + bias;
  }
}

// Calls run(vector, chunks) with compile-time constants: whether groups of four are loaded whole, and how many chunks
// of a row are kept in registers (0: they are read again).
template <class Run>
void with_chunks(bool as_vectors, int64_t projected, const Run& run) {
  const int64_t chunks = padded_projected(projected) / kChunkColumns;
  const auto with_vector = [&](auto vector) {
    if (chunks == 1) return run(vector, std::integral_constant<int, 1>());
    if (chunks == 2) return run(vector, std::integral_constant<int, 2>());
    if (chunks == 3) return run(vector, std::integral_constant<int, 3>());
    if (chunks == kMostKeptChunks) return run(vector, std::integral_constant<int, kMostKeptChunks>());
    run(vector, std::integral_constant<int, 0>());
  };
  if (as_vectors) {
    with_vector(std::true_type());
  } else {
    run(std::false_type(), std::integral_constant<int, 0>());  // odd widths: one variant, not the fastest
  }
}

inline bool quads_as_vectors(int64_t projected, std::initializer_list<const void*> pointers) {
  return loads_as_vectors(kBlockFeatures, pointers) && projected % 4 == 0;
}

}  // namespace HYPERX_KERNEL_BUILD
}  // namespace hyperx::model::kernels

#include <algorithm>

#include "model/ops/cuda/row_products.cuh"

// 394,240 x 192 with 12 sources: 303 MB of W and 19 of theta, 80 us at 4 TB/s. In addition 0.9 G multiply-adds (32 us
// of an H100's fp32 pipe), and per 8 rows and warp 36 16-byte reads of shared memory and 45 shuffles, about as long:
// bandwidth is the limit up to about 24 sources, the fp32 pipe above. 120 registers: 4 thread blocks per SM, and each
// of the 16 warps has 6 KB of loads in flight.
namespace hyperx::model::kernels {
inline namespace HYPERX_KERNEL_BUILD {
namespace {

constexpr int kThreads = 128;

template <bool kVector, int kChunks>
__global__ void __launch_bounds__(kThreads) generate_kernel(GeneratorSize size, const float* w, const float* c,
                                                            Sources sources, float* theta, int64_t theta_stride) {
  float* const staged = shared_memory<float>();
  stage_sources(sources, size.projected, staged);
  __syncthreads();
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  const int64_t warps = static_cast<int64_t>(gridDim.x) * (kThreads / kWarpLanes);
  const int64_t tiles = ceil_divide(size.theta, kWarpRows);
  for (int64_t tile = static_cast<int64_t>(blockIdx.x) * (kThreads / kWarpLanes) + threadIdx.x / kWarpLanes;
       tile < tiles; tile += warps) {
    const Place place{lane % kHalfLanes, tile * kWarpRows + lane / kHalfLanes * kTileRows};
    const auto row_of = [&](int row) { return w + min(place.row + row, size.theta - 1) * size.projected; };
    const float bias = c[min(place.own_row(), size.theta - 1)];
    if constexpr (kChunks > 0) {
      float4 kept[kTileRows][kChunks];
      HYPERX_UNROLL
      for (int row = 0; row < kTileRows; ++row) {
        HYPERX_UNROLL
        for (int chunk = 0; chunk < kChunks; ++chunk)
          kept[row][chunk] = load_quad<kVector>(row_of(row), place.column(chunk), size.projected);
      }
      write_theta<kChunks>([&](int row, int chunk) { return kept[row][chunk]; }, size, staged, sources.rows, bias,
                           place, theta, theta_stride);
    } else {
      write_theta<kChunks>(
          [&](int row, int chunk) { return load_quad<kVector>(row_of(row), place.column(chunk), size.projected); },
          size, staged, sources.rows, bias, place, theta, theta_stride);
    }
  }
}

}  // namespace

void generate(const GeneratorSize& size, const float* w, const float* c, const Sources& sources, float* theta,
              int64_t theta_stride, Stream stream) {
  if (size.theta == 0) return;
  const int64_t row_bytes = padded_projected(size.projected) * static_cast<int64_t>(sizeof(float));
  const int64_t pass = std::min(kMostSources, most_shared_bytes() / row_bytes / kGroupSources * kGroupSources);
  if (pass == 0) throw SystemError("generate: a source is too wide for the shared memory");
  const int64_t useful_blocks = ceil_divide(size.theta, kThreads / kWarpLanes * kWarpRows);
  with_chunks(quads_as_vectors(size.projected, {w}), size.projected, [&](auto vector, auto chunks) {
    const auto kernel = generate_kernel<decltype(vector)::value, decltype(chunks)::value>;
    for (int64_t first = 0; first < sources.rows; first += pass) {
      const Sources some{std::min(pass, sources.rows - first), sources.s + first * size.projected};
      const int64_t bytes = static_cast<int64_t>(sizeof(float)) * source_values(some.rows, size.projected);
      const int64_t blocks = std::min(useful_blocks, resident_blocks("generate", kernel, kThreads, bytes));
      launch("generate", kernel, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), bytes, stream, size, w, c, some,
             theta + first * theta_stride, theta_stride);
    }
  });
}

}  // namespace HYPERX_KERNEL_BUILD
}  // namespace hyperx::model::kernels

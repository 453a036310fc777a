#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>

// As much of CUDA C++ as the kernels use, on the CPU: a thread block's threads are fibers of one thread, which switch
// where threads wait for one another; between barriers they run in an order that changes from block to block. Finds
// wrong arithmetic, wrong indices, barriers that are missing or that not all threads reach, and writes past the shared
// memory; nothing about speed.

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)

struct dim3 {
  explicit dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
  unsigned x, y, z;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

inline thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace cuda_on_host {

// Runs `kernel` for every thread of every block. Shared memory starts as NaN in every block.
void run_grid(const char* name, dim3 grid, dim3 block, int64_t shared_bytes, const std::function<void()>& kernel);

void* shared_bytes();
void block_barrier();
void warp_barrier();
// What lane `from_lane` of the caller's warp gives; all 32 lanes must take part.
uint64_t exchange(uint64_t value, int from_lane);
int lane();

// The nearest value, ties to even, as the hardware rounds.
struct BFloat16 {
  uint16_t bits = 0;
};

template <class T>
T shuffled(T value, int from_lane) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = exchange(bits, from_lane);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace cuda_on_host

inline void __syncthreads() { cuda_on_host::block_barrier(); }
inline void __syncwarp() { cuda_on_host::warp_barrier(); }
template <class T>
T __shfl_xor_sync(unsigned, T value, int lane_mask) {
  return cuda_on_host::shuffled(value, cuda_on_host::lane() ^ lane_mask);
}

inline float __bfloat162float(cuda_on_host::BFloat16 value) {
  const uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
  float wide = 0;
  std::memcpy(&wide, &bits, sizeof wide);
  return wide;
}
inline cuda_on_host::BFloat16 __float2bfloat16_rn(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  if (std::isnan(value)) return {0x7FFF};
  return {static_cast<uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16)};
}
inline float __fdividef(float a, float b) { return a / b; }
template <class T>
T min(T a, T b) {
  return b < a ? b : a;
}

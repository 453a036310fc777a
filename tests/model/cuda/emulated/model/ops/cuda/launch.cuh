#pragma once

#include "common/errors.h"
#include "model/ops/cuda/stream.h"
#include "tests/model/cuda/cuda_on_host.h"

// Takes the place of the real launch.cuh: the same kernels, run on the CPU, at once and one thread block after another.
#define HYPERX_UNROLL
#define HYPERX_UNROLL_4
#define HYPERX_UNROLL_8

namespace hyperx::model::kernels {
inline namespace HYPERX_KERNEL_BUILD {

using bf16 = cuda_on_host::BFloat16;

constexpr unsigned kAllLanes = 0xFFFFFFFFU;

inline int64_t most_shared_bytes() { return 227 * 1024; }  // an H100's

template <class... Parameters>
int64_t resident_blocks(const char*, void (*)(Parameters...), int64_t, int64_t) {
  return 4;  // so few that blocks have more than one tile to do
}

inline unsigned two_bf16(float first, float second) {
  return __float2bfloat16_rn(first).bits | (static_cast<unsigned>(__float2bfloat16_rn(second).bits) << 16);
}

inline void store_global(void* to, uint4 words) { *static_cast<uint4*>(to) = words; }

template <class T>
T* shared_memory() {
  return static_cast<T*>(cuda_on_host::shared_bytes());
}

template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, int64_t shared_bytes, Stream,
            Arguments... arguments) {
  cuda_on_host::run_grid(name, grid, block, shared_bytes, [&] { kernel(arguments...); });
}

}  // namespace HYPERX_KERNEL_BUILD
}  // namespace hyperx::model::kernels

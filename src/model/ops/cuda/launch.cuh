#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <string>

#include "common/errors.h"
#include "model/ops/cuda/stream.h"

// All that the kernels use of CUDA beyond its keywords and functions. A header of the tests takes this one's place and
// runs the same sources on the CPU.
#define HYPERX_UNROLL _Pragma("unroll")
#define HYPERX_UNROLL_4 _Pragma("unroll 4")
#define HYPERX_UNROLL_8 _Pragma("unroll 8")

namespace hyperx::model::kernels {
inline namespace HYPERX_KERNEL_BUILD {

using bf16 = __nv_bfloat16;

constexpr unsigned kAllLanes = 0xFFFFFFFFU;
constexpr int64_t kPlainSharedBytes = 48 * 1024;  // more must be asked for

inline void check_cuda(cudaError_t code, const char* call) {
  if (code == cudaSuccess) return;
  throw SystemError(std::string(call) + ": " + cudaGetErrorName(code) + ": " + cudaGetErrorString(code));
}

// Of the current device.
inline int multiprocessors() {
  int device = 0, count = 0;
  check_cuda(cudaGetDevice(&device), "cudaGetDevice");
  check_cuda(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device), "cudaDeviceGetAttribute");
  return count;
}

// Two rounded values as they lie in memory, the first in the low half.
__device__ inline unsigned two_bf16(float first, float second) {
  return static_cast<unsigned>(__bfloat16_as_ushort(__float2bfloat16_rn(first))) |
         (static_cast<unsigned>(__bfloat16_as_ushort(__float2bfloat16_rn(second))) << 16);
}

// 16 bytes in one instruction: nvcc 13.0 makes four of a plain store whose words were computed one by one.
__device__ inline void store_global(void* to, uint4 words) {
  asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(to)), "r"(words.x),
               "r"(words.y), "r"(words.z), "r"(words.w)
               : "memory");
}

// The block's dynamic shared memory; 16-byte aligned.
template <class T>
__device__ inline T* shared_memory() {
  extern __shared__ __align__(16) unsigned char hyperx_shared_bytes[];
  return reinterpret_cast<T*>(hyperx_shared_bytes);
}

// Starts `kernel`, and throws what CUDA says of it. `name` is for the message.
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, int64_t shared_bytes, Stream stream,
            Arguments... arguments) {
  if (shared_bytes > kPlainSharedBytes)
    check_cuda(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
        name);
  kernel<<<grid, block, static_cast<size_t>(shared_bytes), stream>>>(arguments...);
  check_cuda(cudaGetLastError(), name);
}

}  // namespace HYPERX_KERNEL_BUILD
}  // namespace hyperx::model::kernels

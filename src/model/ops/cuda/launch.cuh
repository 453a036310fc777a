#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <string>

#include "common/errors.h"
#include "model/ops/cuda/stream.h"

// Everything that the kernels use of CUDA beyond its keywords and functions. A header of the tests replaces this one
// and runs the same sources on the CPU.
#define HYPERX_UNROLL _Pragma("unroll")
#define HYPERX_UNROLL_4 _Pragma("unroll 4")
#define HYPERX_UNROLL_8 _Pragma("unroll 8")

namespace hyperx::model::kernels {
inline namespace HYPERX_KERNEL_BUILD {

using bf16 = __nv_bfloat16;

constexpr unsigned kAllLanes = 0xFFFFFFFFU;
constexpr int64_t kPlainSharedBytes = 48 * 1024;  // more must be requested

inline void check_cuda(cudaError_t code, const char* call) {
  if (code == cudaSuccess) return;
  throw SystemError(std::string(call) + ": " + cudaGetErrorName(code) + ": " + cudaGetErrorString(code));
}

// Of the current device.
inline int64_t device_attribute(cudaDeviceAttr attribute) {
  int device = 0, value = 0;
  check_cuda(cudaGetDevice(&device), "cudaGetDevice");
  check_cuda(cudaDeviceGetAttribute(&value, attribute, device), "cudaDeviceGetAttribute");
  return value;
}

// Bytes available to a thread block of the current device: 227 KB on an H100, 163 on an A100, 99 on an RTX 4090.
inline int64_t most_shared_bytes() { return device_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin); }

// Two rounded values in memory order, the first in the low half.
__device__ inline unsigned two_bf16(float first, float second) {
  return static_cast<unsigned>(__bfloat16_as_ushort(__float2bfloat16_rn(first))) |
         (static_cast<unsigned>(__bfloat16_as_ushort(__float2bfloat16_rn(second))) << 16);
}

// 16 bytes in one instruction: nvcc 13.0 splits a plain store into four if its words were computed separately.
__device__ inline void store_global(void* to, uint4 words) {
  asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(to)), "r"(words.x),
               "r"(words.y), "r"(words.z), "r"(words.w)
               : "memory");
}

// The block's dynamic shared memory, aligned to 16 bytes.
template <class T>
__device__ inline T* shared_memory() {
  extern __shared__ __align__(16) unsigned char hyperx_shared_bytes[];
  return reinterpret_cast<T*>(hyperx_shared_bytes);
}

template <class... Parameters>
void allow_shared(const char* name, void (*kernel)(Parameters...), int64_t bytes) {
  if (bytes <= kPlainSharedBytes) return;
  check_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)), name);
}

// Number of thread blocks that the current device holds at a time: more would run after them, on a nearly idle device.
template <class... Parameters>
int64_t resident_blocks(const char* name, void (*kernel)(Parameters...), int64_t threads, int64_t shared_bytes) {
  int blocks = 0;
  allow_shared(name, kernel, shared_bytes);
  check_cuda(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, static_cast<int>(threads),
                                                           static_cast<size_t>(shared_bytes)),
             name);
  return blocks * device_attribute(cudaDevAttrMultiProcessorCount);
}

// Starts `kernel`; throws CUDA's message on failure. `name` is for the message.
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, int64_t shared_bytes, Stream stream,
            Arguments... arguments) {
  allow_shared(name, kernel, shared_bytes);
  kernel<<<grid, block, static_cast<size_t>(shared_bytes), stream>>>(arguments...);
  check_cuda(cudaGetLastError(), name);
}

}  // namespace HYPERX_KERNEL_BUILD
}  // namespace hyperx::model::kernels

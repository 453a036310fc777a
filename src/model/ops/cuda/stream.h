#pragma once

// HYPERX_KERNEL_BUILD tells the kernels that nvcc compiled from the same sources compiled for the CPU, which tests run
// in programs that are linked to both.
#ifndef HYPERX_KERNEL_BUILD
#define HYPERX_KERNEL_BUILD on_device
#endif

struct CUstream_st;  // what a cudaStream_t points to

// Kernels of ours between the matrix products. The functions only queue work on a stream: all pointers are device
// pointers unless said otherwise, nothing is allocated and nothing waited for, so that a CUDA graph can record them.
// Results depend on sizes and values alone: no atomics, and sums over rows are cut at fixed places and added in a fixed
// order. A launch that fails throws SystemError.
namespace hyperx::model::kernels {
inline namespace HYPERX_KERNEL_BUILD {

using Stream = CUstream_st*;

// What activations are stored as; they are computed in fp32.
enum class RowType { kFloat, kBFloat16 };

}  // namespace HYPERX_KERNEL_BUILD
}  // namespace hyperx::model::kernels

#pragma once

// HYPERX_KERNEL_BUILD distinguishes the kernels compiled by nvcc from the same sources compiled for the CPU, which
// tests run in programs that link both.
#ifndef HYPERX_KERNEL_BUILD
#define HYPERX_KERNEL_BUILD on_device
#endif

struct CUstream_st;  // what a cudaStream_t points to

// Our own kernels for the operations between the matrix products. The functions only queue work on a stream. All
// pointers are device pointers unless stated otherwise, nothing is allocated and nothing is waited for, so a CUDA graph
// can record them. Results depend only on sizes and values: there are no atomics, and sums over rows are cut at fixed
// places and added in a fixed order. A failed launch throws SystemError.
namespace hyperx::model::kernels {
inline namespace HYPERX_KERNEL_BUILD {

using Stream = CUstream_st*;

// The type in which activations are stored; they are computed in fp32.
enum class RowType { kFloat, kBFloat16 };

}  // namespace HYPERX_KERNEL_BUILD
}  // namespace hyperx::model::kernels

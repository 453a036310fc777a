#pragma once

#include <ATen/core/Tensor.h>

namespace hyperx::model {

#ifdef HYPERX_WITH_CUDA
constexpr bool kHasOwnKernels = true;
#else
constexpr bool kHasOwnKernels = false;
#endif

// Which kernels run on a GPU between the matrix products: LibTorch's operations (the initial setting) or our own of
// ops/cuda. The setting is process-wide; set it once before anything is computed.
void use_own_kernels(bool use);
bool own_kernels();

// Whether our kernels support x: on a GPU, in fp32 or bf16. They do not support fp64.
bool own_kernels_take(const at::Tensor& x);

}  // namespace hyperx::model

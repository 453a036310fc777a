#pragma once

#include <ATen/core/Tensor.h>

namespace hyperx::model {

#ifdef HYPERX_WITH_CUDA
constexpr bool kHasOwnKernels = true;
#else
constexpr bool kHasOwnKernels = false;
#endif

// Which kernels work on a GPU between the products: LibTorch's operations (at first), or ours of ops/cuda. Of the whole
// process; set once before anything is computed.
void use_own_kernels(bool use);
bool own_kernels();

// Whether ours take x: on a GPU, in fp32 or bf16. They know no fp64.
bool own_kernels_take(const at::Tensor& x);

}  // namespace hyperx::model

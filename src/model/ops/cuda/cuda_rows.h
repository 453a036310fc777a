#pragma once

#include <ATen/core/Tensor.h>

#include "model/ops/cpu/residual_norm.h"
#include "model/ops/cuda/keyed_mask.h"

// Shared by the wrappers that connect tensors and the kernels of ops/cuda.
namespace hyperx::model {

// PyTorch's current stream of the device.
kernels::Stream current_stream(const at::Tensor& tensor);

kernels::RowType row_type_of(const at::Tensor& rows);

inline void* data_or_null(const at::Tensor& tensor) { return tensor.defined() ? tensor.data_ptr() : nullptr; }

// A mask and the tensors that it points into, which must live as long as the mask is used. probability 0: none.
struct DeviceMask {
  at::Tensor slots, positions, key;
  double probability = 0;
  kernels::KeyedMask mask() const;
};
DeviceMask device_mask(const SiteDropout& dropout, const at::Tensor& x);

}  // namespace hyperx::model

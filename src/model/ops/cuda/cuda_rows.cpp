#include "model/ops/cuda/cuda_rows.h"

#include <ATen/ATen.h>
#include <c10/cuda/CUDAStream.h>

#include "common/errors.h"
#include "model/ops/cuda/cuda_ops.h"

namespace hyperx::model {

kernels::Stream current_stream(const at::Tensor& tensor) {
  return c10::cuda::getCurrentCUDAStream(tensor.device().index()).stream();
}

kernels::RowType row_type_of(const at::Tensor& rows) {
  const bool wide = rows.scalar_type() == at::kFloat;
  HYPERX_CHECK(wide || rows.scalar_type() == at::kBFloat16, "rows of a type that the kernels do not know");
  return wide ? kernels::RowType::kFloat : kernels::RowType::kBFloat16;
}

at::Tensor key_on_device(const DropoutKey& key, at::Device device) {
  if (key.on_device.defined()) return key.on_device;
  return at::full({}, static_cast<int64_t>(key_bits(key.host)), at::TensorOptions().dtype(at::kLong).device(device));
}

DeviceMask device_mask(const SiteDropout& dropout, const at::Tensor& x) {
  if (dropout.probability == 0) return {};
  HYPERX_CHECK(dropout.rows.slots.numel() == x.size(0), "dropout takes a key a row");
  return {dropout.rows.slots.to(x.device()).contiguous(), dropout.rows.positions.to(x.device()).contiguous(),
          key_on_device(dropout.key, x.device()), dropout.probability};
}

kernels::KeyedMask DeviceMask::mask() const {
  if (probability == 0) return {};
  return {slots.const_data_ptr<int64_t>(), positions.const_data_ptr<int64_t>(),
          reinterpret_cast<const uint64_t*>(key.const_data_ptr<int64_t>()), dropout_threshold(probability),
          static_cast<float>(dropout_scale(probability))};
}

}  // namespace hyperx::model

#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/ops/cpu/dropout.h"
#include "model/ops/cuda/keyed_mask.h"

// What the tests of the kernels share.
namespace hyperx::model {

inline kernels::RowType row_type(at::ScalarType type) {
  return type == at::kFloat ? kernels::RowType::kFloat : kernels::RowType::kBFloat16;
}

// Rounded to the rows' type, so that references in fp64 start from the same values.
inline at::Tensor draw(at::IntArrayRef shape, at::ScalarType type) { return at::randn(shape, at::kFloat).to(type); }

inline void* pointer(const at::Tensor& tensor) { return tensor.defined() ? tensor.data_ptr() : nullptr; }

// A tensor to write into that lies between sentinels, which must be there afterwards. 16-byte aligned if asked for.
class Guarded {
 public:
  Guarded(at::IntArrayRef shape, at::ScalarType type, bool aligned = true) {
    const int64_t count = c10::multiply_integers(shape);
    whole_ = at::full({count + 2 * kMargin + 1}, kSentinel, type);
    begin_ = kMargin + (aligned ? 0 : 1);
    tensor_ = whole_.narrow(0, begin_, count).view(shape);
  }
  const at::Tensor& tensor() const { return tensor_; }
  void* data() const { return tensor_.data_ptr(); }
  float* floats() const { return tensor_.data_ptr<float>(); }
  bool margins_are_whole() const {
    const int64_t end = begin_ + tensor_.numel();
    return whole_.narrow(0, 0, begin_).eq(kSentinel).all().item<bool>() &&
           whole_.narrow(0, end, whole_.numel() - end).eq(kSentinel).all().item<bool>();
  }

 private:
  static constexpr int64_t kMargin = 64;
  static constexpr double kSentinel = 77.0;
  at::Tensor whole_, tensor_;
  int64_t begin_ = 0;
};

// The largest difference, in units of the largest size of `right` or 1; 0 for empty ones.
inline double relative_distance(const at::Tensor& found, const at::Tensor& right) {
  if (right.numel() == 0) return 0;
  const at::Tensor wide = right.to(at::kDouble);
  return (found.to(at::kDouble) - wide).abs().max().item<double>() / std::max(1.0, wide.abs().max().item<double>());
}

// A dropout whose rows have keys of all sizes.
struct MaskInput {
  RowKeys rows;
  PhiloxKey key{0x12345678U, 0x9ABCDEF0U};
  uint64_t key_value = 0;
  double probability = 0;

  MaskInput(int64_t count, double share) : probability(share) {
    const at::Tensor index = at::arange(count, at::kLong);
    rows = {index.div(5, "floor") * 0x123456789LL + 3, index.remainder(5)};
    key_value = key_bits(key);
  }
  // For a kernel: none where the probability is 0.
  kernels::KeyedMask mask() const {
    if (probability == 0) return {};
    return {rows.slots.data_ptr<int64_t>(), rows.positions.data_ptr<int64_t>(), &key_value,
            dropout_threshold(probability), static_cast<float>(dropout_scale(probability))};
  }
};

}  // namespace hyperx::model

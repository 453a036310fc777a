#pragma once

#include <cstdint>

#include "model/ops/cuda/keyed_mask.h"

namespace hyperx::model::kernels {
inline namespace HYPERX_KERNEL_BUILD {

// Rows are held in registers, so the width is limited.
constexpr int64_t kMaxNormWidth = 2048;

// y = LayerNorm(sum), sum = (x + bias) * mask + first + second. Plain LayerNorm: only x.
struct NormForward {
  RowType type = RowType::kFloat;  // of x, bias, first, second, sum, y
  int64_t rows = 0, width = 0;
  const void* x = nullptr;           // [rows, width]
  const void* bias = nullptr;        // [width] or null
  const void* first = nullptr;       // [rows, width] or null
  const void* second = nullptr;      // [rows, width] or null
  const float* weight = nullptr;     // [width]
  const float* norm_bias = nullptr;  // [width]
  float epsilon = 0;
  KeyedMask mask;
  void* y = nullptr;       // [rows, width]
  void* sum = nullptr;     // [rows, width] or null: not stored
  float* mean = nullptr;   // [rows] or null
  float* scale = nullptr;  // [rows] or null: 1 / standard deviation
};
void residual_norm_forward(const NormForward& call, Stream stream);

// The gradients of all terms, from the tensors that the forward pass stored.
struct NormBackward {
  RowType type = RowType::kFloat;  // of dy, sum, dsum, dx, dbias
  int64_t rows = 0, width = 0;
  const void* dy = nullptr;       // [rows, width]
  const void* sum = nullptr;      // [rows, width]
  const float* mean = nullptr;    // [rows]
  const float* scale = nullptr;   // [rows]
  const float* weight = nullptr;  // [width]
  KeyedMask mask;                 // the forward pass's
  void* dsum = nullptr;           // [rows, width]: gradient of first and second, and of x if there is no mask
  void* dx = nullptr;             // [rows, width] if there is a mask
  float* dweight_bias = nullptr;  // [2, width]: gradients of the norm's weight and bias
  void* dbias = nullptr;          // [width] or null
  float* partials = nullptr;      // scratch of norm_partial_values() values
};
// Sums over rows: chunks of kNormChunkRows rows in fp32; chunks c, c + 16, ... are added for each c, then these 16 in
// order.
constexpr int64_t kNormChunkRows = 8;
int64_t norm_partial_values(int64_t rows, int64_t width);
void residual_norm_backward(const NormBackward& call, Stream stream);

}  // namespace HYPERX_KERNEL_BUILD
}  // namespace hyperx::model::kernels

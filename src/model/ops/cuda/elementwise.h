#pragma once

#include <cstdint>

#include "model/ops/cuda/keyed_mask.h"

// What is computed value by value, with a row's own vector beside: bias, activation, dropout, embeddings.
namespace hyperx::model::kernels {
inline namespace HYPERX_KERNEL_BUILD {

enum class ActivationKind { kGelu, kRelu };

// Rows whose sums one thread block adds up; sums over rows are those of chunks, chunks c, c + 16, ... and then these 16
// in order, all in fp32.
constexpr int64_t kElementChunkRows = 32;
int64_t element_partial_values(int64_t rows, int64_t width);

struct Elements {
  RowType type = RowType::kFloat;  // of all but the partial sums
  int64_t rows = 0, width = 0;
};

// y = activation(x + bias). x, y [rows, width], bias [width].
void biased_activation_forward(const Elements& shape, ActivationKind kind, const void* x, const void* bias, void* y,
                               Stream stream);

// dx, and dbias as sums over rows. saved [rows, width]: x for GELU, y for ReLU. dbias [width] may be null, and then
// partials, else [element_partial_values()], too.
void biased_activation_backward(const Elements& shape, ActivationKind kind, const void* saved, const void* bias,
                                const void* dy, void* dx, void* dbias, float* partials, Stream stream);

// out = (x + bias) * mask; bias may be null. The gradient is the same call with dy for x and without bias, which can
// sum over rows besides: sums [width] may be null, and then partials too.
void masked_sum(const Elements& shape, const void* x, const void* bias, const KeyedMask& mask, void* out, void* sums,
                float* partials, Stream stream);

// out [rows, width] = word[id] + position[position + offset] + type[0], added in this order in fp32. ids and positions
// [rows] must lie inside the tables.
struct EmbeddingTables {
  const float* word = nullptr;      // [words, width]
  const float* position = nullptr;  // [positions, width]
  const float* type = nullptr;      // [types, width], the first of which is used
  int64_t position_offset = 0;
};
void embedding_sum(const Elements& shape, const int64_t* ids, const int64_t* positions, const EmbeddingTables& tables,
                   void* out, Stream stream);

}  // namespace HYPERX_KERNEL_BUILD
}  // namespace hyperx::model::kernels

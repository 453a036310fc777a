#pragma once

#include <cstdint>

#include "model/ops/cuda/keyed_mask.h"

// Elementwise operations, with one vector shared by all rows: bias, activation, dropout, embeddings.
namespace hyperx::model::kernels {
inline namespace HYPERX_KERNEL_BUILD {

enum class ActivationKind { kGelu, kRelu };

// Rows whose sums one thread block computes. A sum over rows adds chunks c, c + 16, ... for each c, and then these 16
// sums in order, all in fp32.
constexpr int64_t kElementChunkRows = 32;
int64_t element_partial_values(int64_t rows, int64_t width);

struct Elements {
  RowType type = RowType::kFloat;  // of everything except the partial sums
  int64_t rows = 0, width = 0;
};

// y = activation(x + bias). x, y [rows, width], bias [width].
void biased_activation_forward(const Elements& shape, ActivationKind kind, const void* x, const void* bias, void* y,
                               Stream stream);

// dx, and dbias as sums over rows. saved [rows, width]: x for GELU, y for ReLU. dbias [width] and partials
// [element_partial_values()] may both be null.
void biased_activation_backward(const Elements& shape, ActivationKind kind, const void* saved, const void* bias,
                                const void* dy, void* dx, void* dbias, float* partials, Stream stream);

// out = (x + bias) * mask; bias may be null. The gradient is the same call with dy for x and without bias; it can also
// sum over rows: sums [width] and partials may both be null.
void masked_sum(const Elements& shape, const void* x, const void* bias, const KeyedMask& mask, void* out, void* sums,
                float* partials, Stream stream);

// out [rows, width] = word[id] + position[position + offset] + type[0], added in this order in fp32. All ids and
// positions [rows] must be inside the tables.
struct EmbeddingTables {
  const float* word = nullptr;      // [words, width]
  const float* position = nullptr;  // [positions, width]
  const float* type = nullptr;      // [types, width]; only the first is used
  int64_t position_offset = 0;
};
void embedding_sum(const Elements& shape, const int64_t* ids, const int64_t* positions, const EmbeddingTables& tables,
                   void* out, Stream stream);

}  // namespace HYPERX_KERNEL_BUILD
}  // namespace hyperx::model::kernels

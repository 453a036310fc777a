#pragma once

#include <ATen/core/Tensor.h>

#include "model/ops/dropout.h"

namespace hyperx::model {

// softmax(Q Kᵀ / sqrt(head_dim)) V within each sentence of a packed batch, all heads; no padding, no mask.
//   qkv              [tokens, 3 * hidden], query, key and value beside one another
//   sentence_starts  [sentences + 1] int32, CPU
//   rows             keys of the rows, for dropout on the probabilities (probability 0: none): the bits of (query row, head, key
//                    position p) are those of feature head * 2^16 + p of the query's row
// Returns [tokens, hidden]. Differentiable in qkv. CPU.
at::Tensor packed_attention(const at::Tensor& qkv, const at::Tensor& sentence_starts, int64_t heads, const RowKeys& rows,
                            double dropout_probability, PhiloxKey key);

}  // namespace hyperx::model

#pragma once

#include <ATen/core/Tensor.h>

#include "model/ops/cpu/dropout.h"

namespace hyperx::model {

// Offsets of the sentences in packed rows.
struct SentenceStarts {
  at::Tensor host;            // [sentences + 1] int32
  at::Tensor on_device = {};  // the same on the rows' device; undefined on the CPU
  int64_t longest = 0;        // at least the number of tokens of every sentence; only for a device
};

// softmax(Q Kᵀ / sqrt(head_dim)) V within each sentence of a packed batch, all heads; no padding, no mask.
//   qkv      [tokens, 3 * hidden], query, key and value concatenated
//   dropout  of the probabilities, with the bits of attention_dropout_mask(); its rows are needed even if there is none
// Returns [tokens, hidden]. Differentiable in qkv. On the CPU it runs our own kernel; on CUDA in bf16, flash attention
// with its own dropout (seeded per step, not keyed); in other types, the operations below.
at::Tensor packed_attention(const at::Tensor& qkv, const SentenceStarts& starts, int64_t heads,
                            const SiteDropout& dropout);

// The same with LibTorch's operations, sentence by sentence: for any device and type, and as the kernel's test oracle.
at::Tensor attention_by_operations(const at::Tensor& qkv, const at::Tensor& sentence_starts, int64_t heads,
                                   const SiteDropout& dropout);

}  // namespace hyperx::model

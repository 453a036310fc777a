#pragma once

#include <ATen/core/Tensor.h>

#include "model/ops/cpu/dropout.h"

namespace hyperx::model {

// Where the sentences of packed rows begin.
struct SentenceStarts {
  at::Tensor host;            // [sentences + 1] int32
  at::Tensor on_device = {};  // the same on the rows' device; undefined on the CPU
  int64_t longest = 0;        // no sentence has more tokens; for a device
};

// softmax(Q Kᵀ / sqrt(head_dim)) V within each sentence of a packed batch, all heads; no padding, no mask.
//   qkv      [tokens, 3 * hidden], query, key and value beside one another
//   dropout  on the probabilities, its bits as attention_dropout_mask() has them; its rows count also where it is none
// Returns [tokens, hidden]. Differentiable in qkv. On the CPU by a kernel of ours; on CUDA in bf16 by flash attention,
// whose dropout is its own (seeded a step, not keyed), and in other types by the operations below.
at::Tensor packed_attention(const at::Tensor& qkv, const SentenceStarts& starts, int64_t heads,
                            const SiteDropout& dropout);

// The same with LibTorch's operations, sentence by sentence: any device and type, and the check of the kernel.
at::Tensor attention_by_operations(const at::Tensor& qkv, const at::Tensor& sentence_starts, int64_t heads,
                                   const SiteDropout& dropout);

}  // namespace hyperx::model

#pragma once

#include <ATen/core/Tensor.h>

#include "model/ops/cpu/attention.h"

namespace hyperx::model {

// packed_attention() for tensors on a GPU: variable-length flash attention in bf16, otherwise
// attention_by_operations().
at::Tensor attention_on_device(const at::Tensor& qkv, const SentenceStarts& starts, int64_t heads,
                               const SiteDropout& dropout);

}  // namespace hyperx::model

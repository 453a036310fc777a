#include "model/ops/attention_on_device.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "model/ops/cpu/attention.h"

namespace hyperx::model {

at::Tensor attention_by_operations(const at::Tensor& qkv, const at::Tensor& sentence_starts, int64_t heads,
                                   const SiteDropout& dropout) {
  const int64_t hidden = qkv.size(1) / 3, dim = hidden / heads;
  const int32_t* const starts = sentence_starts.const_data_ptr<int32_t>();
  std::vector<at::Tensor> sentences;
  at::Tensor mask;  // [heads, tokens, longest], drawn at once: each draw is 250 small operations
  if (dropout.probability > 0) {
    int64_t longest = 0;
    for (int64_t s = 0; s + 1 < sentence_starts.numel(); ++s)
      longest = std::max<int64_t>(longest, starts[s + 1] - starts[s]);
    mask = attention_dropout_mask(dropout, heads, longest, qkv.options().requires_grad(false));
  }
  for (int64_t s = 0; s + 1 < sentence_starts.numel(); ++s) {
    const int64_t begin = starts[s], length = starts[s + 1] - begin;
    const at::Tensor parts =
        qkv.narrow(0, begin, length).view({length, 3, heads, dim}).permute({1, 2, 0, 3});  // [3, heads, length, dim]
    at::Tensor weights =
        at::softmax(at::matmul(parts[0], parts[1].transpose(1, 2)) / std::sqrt(static_cast<double>(dim)), 2);
    if (mask.defined()) weights = weights * mask.narrow(1, begin, length).narrow(2, 0, length);
    sentences.push_back(at::matmul(weights, parts[2]).transpose(0, 1).reshape({length, hidden}));
  }
  return at::cat(sentences);
}

at::Tensor attention_on_device(const at::Tensor& qkv, const SentenceStarts& starts, int64_t heads,
                               const SiteDropout& dropout) {
  if (qkv.scalar_type() != at::kBFloat16) return attention_by_operations(qkv, starts.host, heads, dropout);
  const int64_t hidden = qkv.size(1) / 3, dim = hidden / heads;
  const std::vector<at::Tensor> parts = qkv.view({qkv.size(0), 3, heads, dim}).unbind(1);  // [tokens, heads, dim] each
  const at::Tensor out = std::get<0>(at::_flash_attention_forward(
      parts[0], parts[1], parts[2], starts.on_device, starts.on_device, starts.longest, starts.longest,
      dropout.probability, false, false, 1.0 / std::sqrt(static_cast<double>(dim))));
  return out.reshape({qkv.size(0), hidden});
}

}  // namespace hyperx::model

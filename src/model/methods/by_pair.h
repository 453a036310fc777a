#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "model/methods/method.h"

namespace hyperx::model {

// Calls work(z's rows, pair, rows_of) for each pair, where rows_of selects the same rows of another tensor; the results
// are concatenated. With a single pair the tensors are used whole: the gradient of a slice would be a copy.
template <class Work>
at::Tensor by_pair(const at::Tensor& z, const std::vector<PairRows>& pairs, const Work& work) {
  const bool one = pairs.size() == 1;
  std::vector<at::Tensor> parts;
  for (const PairRows& rows : pairs) {
    if (rows.token_begin == rows.token_end) continue;  // none of the pair's rows is needed
    const auto rows_of = [&](const at::Tensor& x) {
      return one ? x : x.narrow(0, rows.token_begin, rows.token_end - rows.token_begin);
    };
    parts.push_back(work(rows_of(z), rows.pair, rows_of));
  }
  return one ? parts[0] : at::cat(parts);
}

}  // namespace hyperx::model

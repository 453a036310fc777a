#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace hyperx::model {

// Sums over the rows of a batch (gradients of biases and LayerNorms), with the same bits for any number of threads:
// rows are split into chunks of a fixed size, each chunk is summed separately, and the chunks are added in order.
constexpr int64_t kChunkRows = 32;

// Calls run(begin, end, sums) for each chunk of rows; `sums` [values] is zero at first. Returns the total of all
// chunks.
template <class T, class Run>
std::vector<T> sum_over_row_chunks(int64_t rows, int64_t values, const Run& run) {
  const int64_t chunks = (rows + kChunkRows - 1) / kChunkRows;
  std::vector<T> partial(static_cast<size_t>(chunks * values), T(0));
  at::parallel_for(0, chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk)
      run(chunk * kChunkRows, std::min(rows, (chunk + 1) * kChunkRows), partial.data() + chunk * values);
  });
  std::vector<T> total(static_cast<size_t>(values), T(0));
  for (int64_t chunk = 0; chunk < chunks; ++chunk)
    for (int64_t i = 0; i < values; ++i)
      total[static_cast<size_t>(i)] += partial[static_cast<size_t>(chunk * values + i)];
  return total;
}

}  // namespace hyperx::model

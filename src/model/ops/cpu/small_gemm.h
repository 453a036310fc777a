#pragma once

#include <algorithm>
#include <cstdint>

#include "model/ops/cpu/multiversion.h"

namespace hyperx::model {

// Matrix products of the size of one sentence and head, too small for a BLAS call each. Blocks of kGemmRows x
// kGemmColumns sums stay in registers; the compiler vectorises over the columns.
constexpr int64_t kGemmRows = 4;
constexpr int64_t kGemmColumns = 32;

constexpr int64_t padded_columns(int64_t columns) { return (columns + kGemmColumns - 1) / kGemmColumns * kGemmColumns; }

// Extra work of a product at every row of B that it reads: none.
struct NothingElse {
  void operator()() const {}
};

// Prefetches the memory from `next` to `end`, one cache line per call, while a product computes.
struct ReadAhead {
  static constexpr int64_t kLineBytes = 64;
  const char *next, *end;
  HYPERX_INLINE void operator()() {
    if (next >= end) return;
    __builtin_prefetch(next, 0, 2);
    next += kLineBytes;
  }
};

template <int64_t kRows, class T, class Besides>
HYPERX_INLINE void gemm_block(int64_t depth, const T* a, int64_t a_row, int64_t a_column, const T* HYPERX_RESTRICT b,
                              int64_t b_row, T* HYPERX_RESTRICT c, int64_t c_row, int64_t columns, Besides& besides) {
  T sums[kRows][kGemmColumns] = {};
  for (int64_t k = 0; k < depth; ++k) {
    besides();
    const T* HYPERX_RESTRICT const row = b + k * b_row;
    for (int64_t r = 0; r < kRows; ++r) {
      const T factor = a[r * a_row + k * a_column];
      for (int64_t j = 0; j < kGemmColumns; ++j) sums[r][j] += factor * row[j];
    }
  }
  if (columns == kGemmColumns) {  // known at compile time: whole registers
    for (int64_t r = 0; r < kRows; ++r)
      for (int64_t j = 0; j < kGemmColumns; ++j) c[r * c_row + j] = sums[r][j];
  } else {
    for (int64_t r = 0; r < kRows; ++r)
      for (int64_t j = 0; j < columns; ++j) c[r * c_row + j] = sums[r][j];
  }
}

// C [rows, columns] = A [rows, depth] B [depth, columns]. A is read at a[r * a_row + k * a_column]; B's rows must be
// readable up to padded_columns(columns).
template <class T, class Besides>
HYPERX_INLINE void small_gemm(int64_t rows, int64_t columns, int64_t depth, const T* a, int64_t a_row, int64_t a_column,
                              const T* b, int64_t b_row, T* c, int64_t c_row, Besides& besides) {
  for (int64_t j = 0; j < columns; j += kGemmColumns) {
    const int64_t width = std::min(kGemmColumns, columns - j);
    int64_t i = 0;
    for (; i + kGemmRows <= rows; i += kGemmRows)
      gemm_block<kGemmRows>(depth, a + i * a_row, a_row, a_column, b + j, b_row, c + i * c_row + j, c_row, width,
                            besides);
    for (; i < rows; ++i)
      gemm_block<1>(depth, a + i * a_row, a_row, a_column, b + j, b_row, c + i * c_row + j, c_row, width, besides);
  }
}

template <class T>
HYPERX_INLINE void small_gemm(int64_t rows, int64_t columns, int64_t depth, const T* a, int64_t a_row, int64_t a_column,
                              const T* b, int64_t b_row, T* c, int64_t c_row) {
  const NothingElse nothing;
  small_gemm(rows, columns, depth, a, a_row, a_column, b, b_row, c, c_row, nothing);
}

// out [columns, padded_columns(rows)] = in [rows, columns] transposed; the padding is zero.
template <class T>
HYPERX_INLINE void pack_transposed(const T* in, int64_t rows, int64_t columns, int64_t stride, T* HYPERX_RESTRICT out) {
  const int64_t width = padded_columns(rows);
  for (int64_t c = 0; c < columns; ++c) {
    for (int64_t r = 0; r < rows; ++r) out[c * width + r] = in[r * stride + c];
    for (int64_t r = rows; r < width; ++r) out[c * width + r] = T(0);
  }
}

// out [rows, padded_columns(columns)] = in [rows, columns]; the padding is zero.
template <class T>
HYPERX_INLINE void pack(const T* in, int64_t rows, int64_t columns, int64_t stride, T* HYPERX_RESTRICT out) {
  const int64_t width = padded_columns(columns);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) out[r * width + c] = in[r * stride + c];
    for (int64_t c = columns; c < width; ++c) out[r * width + c] = T(0);
  }
}

}  // namespace hyperx::model

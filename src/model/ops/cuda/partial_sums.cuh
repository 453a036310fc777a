#pragma once

#include "model/ops/cuda/rows.cuh"

// The second half of a sum over rows: adds the partial sums of the chunks of rows, in a fixed order.
namespace hyperx::model::kernels {
inline namespace HYPERX_KERNEL_BUILD {

constexpr int kSumColumns = 32;  // per thread block: a line of 128 bytes
constexpr int kSumGroups = 16;   // that the chunks are divided among; group g takes chunks g, g + 16, ...

// The first `wide_values` totals are stored as C, the others as T.
template <class C, class T>
struct SumTargets {
  C* wide;
  int64_t wide_values;
  T* narrow;
};

// partials [chunks, stride]; only the first `values` of each chunk are used. Reads each once, in whole lines; there are
// few thread blocks, but also few bytes.
template <class C, class T>
__global__ void add_partials_kernel(const C* partials, int64_t chunks, int64_t values, int64_t stride,
                                    SumTargets<C, T> targets) {
  C* const groups = shared_memory<C>();  // [groups, columns]
  const int column = static_cast<int>(threadIdx.x), group = static_cast<int>(threadIdx.y);
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kSumColumns + column;
  C sum = C(0);
  if (index < values) {
    HYPERX_UNROLL_4
    for (int64_t chunk = group; chunk < chunks; chunk += kSumGroups) sum += partials[chunk * stride + index];
  }
  groups[group * kSumColumns + column] = sum;
  __syncthreads();
  if (group != 0 || index >= values) return;
  for (int other = 1; other < kSumGroups; ++other) sum += groups[other * kSumColumns + column];
  if (index < targets.wide_values) {
    targets.wide[index] = sum;
  } else {
    narrow_into(targets.narrow[index - targets.wide_values], static_cast<float>(sum));
  }
}

// Without chunks the totals are zero.
template <class C, class T>
void add_partials(const C* partials, int64_t chunks, int64_t values, int64_t stride, const SumTargets<C, T>& targets,
                  Stream stream) {
  if (values == 0) return;
  launch("add_partials", add_partials_kernel<C, T>, dim3(static_cast<unsigned>(ceil_divide(values, kSumColumns))),
         dim3(kSumColumns, kSumGroups), static_cast<int64_t>(sizeof(C)) * kSumColumns * kSumGroups, stream, partials,
         chunks, values, stride, targets);
}

}  // namespace HYPERX_KERNEL_BUILD
}  // namespace hyperx::model::kernels

#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <vector>

namespace hyperx::comm {

// out[i] = parts[0][i] + parts[1][i] + ..., added in that order; float is added in double, bfloat16 in float, and
// rounded once. Integers wrap around. `out` may be one of the parts. All arrays are in host memory.
void sum_in_rank_order(c10::ScalarType type, const std::vector<const void*>& parts, void* out, int64_t count);

}  // namespace hyperx::comm

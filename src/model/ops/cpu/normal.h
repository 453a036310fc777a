#pragma once

#include <cstdint>

#include "common/random.h"

namespace hyperx::model {

// Fills `out` with values [first, first + count) of the normal stream N(0, deviation²) of `key`. A value has the same
// bits however it is drawn, singly or among others, on any x86-64; in fp32 it is the fp64 value rounded.
void normal_values(float* out, int64_t first, int64_t count, double deviation, PhiloxKey key);
void normal_values(double* out, int64_t first, int64_t count, double deviation, PhiloxKey key);

}  // namespace hyperx::model

#pragma once

#include <cstdint>

#include "model/ops/cuda/stream.h"

namespace hyperx::model::kernels {
inline namespace HYPERX_KERNEL_BUILD {

// Dropout masks, with the bits that model/ops/cpu/dropout.h defines. slots null: no dropout.
struct KeyedMask {
  const int64_t* slots = nullptr;      // [rows]
  const int64_t* positions = nullptr;  // [rows]
  const uint64_t* key = nullptr;       // one value, key_bits() of random.h; read when the kernel runs
  uint32_t threshold = 0;              // dropped if bits < threshold
  float scale = 1;                     // factor of the kept values
};

}  // namespace HYPERX_KERNEL_BUILD
}  // namespace hyperx::model::kernels

#pragma once

#include <cstdint>

#include "common/random.h"
#include "model/ops/cpu/multiversion.h"

namespace hyperx::model {

constexpr int kPhiloxLanes = 16;

// philox({first + lane, c1, c2, c3}, key) for kPhiloxLanes lanes at once, as loops that vectorise. words[w][lane].
HYPERX_INLINE void philox_lanes(uint32_t first, uint32_t c1, uint32_t c2, uint32_t c3, PhiloxKey key,
                                uint32_t words[4][kPhiloxLanes]) {
  uint32_t x0[kPhiloxLanes], x1[kPhiloxLanes], x2[kPhiloxLanes], x3[kPhiloxLanes];
  for (int lane = 0; lane < kPhiloxLanes; ++lane) {
    x0[lane] = first + static_cast<uint32_t>(lane);
    x1[lane] = c1;
    x2[lane] = c2;
    x3[lane] = c3;
  }
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < kPhiloxRounds; ++round) {
#pragma GCC unroll 1  // full unrolling leaves GCC no loop to vectorise: four times as slow
    for (int lane = 0; lane < kPhiloxLanes; ++lane) {
      const uint64_t p0 = static_cast<uint64_t>(kPhiloxMultiplier0) * x0[lane];
      const uint64_t p1 = static_cast<uint64_t>(kPhiloxMultiplier1) * x2[lane];
      x0[lane] = static_cast<uint32_t>(p1 >> 32) ^ x1[lane] ^ k0;
      x2[lane] = static_cast<uint32_t>(p0 >> 32) ^ x3[lane] ^ k1;
      x1[lane] = static_cast<uint32_t>(p1);
      x3[lane] = static_cast<uint32_t>(p0);
    }
    k0 += kPhiloxWeyl0;
    k1 += kPhiloxWeyl1;
  }
  for (int lane = 0; lane < kPhiloxLanes; ++lane) {
    words[0][lane] = x0[lane];
    words[1][lane] = x1[lane];
    words[2][lane] = x2[lane];
    words[3][lane] = x3[lane];
  }
}

// Keep-mask of up to 8 * kPhiloxLanes values, starting at feature 8 * first: mask[f] is 0 or scale. Writes `count`
// values.
template <class T>
HYPERX_INLINE void keep_mask(uint32_t first, uint32_t position, uint64_t slot, PhiloxKey key, uint32_t threshold,
                             T scale, int count, T* HYPERX_RESTRICT mask) {
  uint32_t words[4][kPhiloxLanes];
  philox_lanes(first, position, static_cast<uint32_t>(slot), static_cast<uint32_t>(slot >> 32), key, words);
  T full[8 * kPhiloxLanes];
  for (int lane = 0; lane < kPhiloxLanes; ++lane)
    for (int w = 0; w < 4; ++w) {
      full[8 * lane + 2 * w] = (words[w][lane] & 0xFFFFU) >= threshold ? scale : T(0);
      full[8 * lane + 2 * w + 1] = (words[w][lane] >> 16) >= threshold ? scale : T(0);
    }
  for (int i = 0; i < count; ++i) mask[i] = full[i];
}

}  // namespace hyperx::model

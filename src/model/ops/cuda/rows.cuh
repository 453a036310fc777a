#pragma once

#include <cstdint>
#include <initializer_list>
#include <type_traits>

#include "common/random.h"
#include "model/ops/cuda/keyed_mask.h"
#include "model/ops/cuda/launch.cuh"

// Rows of activations are processed in blocks of 8 features: 16 bytes of bf16, and the output of one call of the mask's
// random generator.
namespace hyperx::model::kernels {
inline namespace HYPERX_KERNEL_BUILD {

constexpr int kBlockFeatures = 8;
constexpr int kWarpLanes = 32;

constexpr int64_t ceil_divide(int64_t value, int64_t by) { return (value + by - 1) / by; }
constexpr int64_t round_up(int64_t value, int64_t to) { return ceil_divide(value, to) * to; }

// Whether blocks are whole and aligned to 16 bytes.
inline bool loads_as_vectors(int64_t width, std::initializer_list<const void*> pointers) {
  for (const void* pointer : pointers)
    if (reinterpret_cast<uintptr_t>(pointer) % 16 != 0) return false;
  return width % kBlockFeatures == 0;
}

// Calls run(T(), vector) with the type of the rows and whether their blocks are loaded whole, both compile-time
// constants.
template <class Run>
void with_row_type(RowType type, bool as_vectors, const Run& run) {
  const auto with_type = [&](auto row) {
    if (as_vectors) {
      run(row, std::true_type());
    } else {
      run(row, std::false_type());
    }
  };
  if (type == RowType::kFloat) {
    with_type(float());
  } else {
    with_type(bf16());
  }
}

__device__ inline float widened(float value) { return value; }
__device__ inline float widened(bf16 value) { return __bfloat162float(value); }
__device__ inline void narrow_into(float& to, float value) { to = value; }
__device__ inline void narrow_into(bf16& to, float value) { to = __float2bfloat16_rn(value); }

template <class T>
struct alignas(16) Eight {
  T values[kBlockFeatures];
};

// 16 bytes at a time.
__device__ inline void store_eight(float* to, const float* values) {
  float4* const quads = reinterpret_cast<float4*>(to);
  quads[0] = make_float4(values[0], values[1], values[2], values[3]);
  quads[1] = make_float4(values[4], values[5], values[6], values[7]);
}
__device__ inline void store_eight(bf16* to, const float* values) {
  store_global(to, make_uint4(two_bf16(values[0], values[1]), two_bf16(values[2], values[3]),
                              two_bf16(values[4], values[5]), two_bf16(values[6], values[7])));
}

// Features [feature, feature + 8) of a row of `width`; those beyond its end read as 0 and are not written.
template <bool kVector, class T>
__device__ inline void load_block(const T* row, int64_t feature, int64_t width, float* out) {
  if constexpr (kVector) {
    const Eight<T> block = *reinterpret_cast<const Eight<T>*>(row + feature);
    HYPERX_UNROLL
    for (int i = 0; i < kBlockFeatures; ++i) out[i] = widened(block.values[i]);
  } else {
    HYPERX_UNROLL
    for (int i = 0; i < kBlockFeatures; ++i) out[i] = feature + i < width ? widened(row[feature + i]) : 0.0F;
  }
}

template <bool kVector, class T>
__device__ inline void store_block(T* row, int64_t feature, int64_t width, const float* values) {
  if constexpr (kVector) {
    store_eight(row + feature, values);
  } else {
    HYPERX_UNROLL
    for (int i = 0; i < kBlockFeatures; ++i)
      if (feature + i < width) narrow_into(row[feature + i], values[i]);
  }
}

// What every thread needs to draw masks: the key is read from device memory, so that a replayed graph draws new masks.
struct MaskDraw {
  const int64_t *slots, *positions;
  PhiloxKey key;
  uint32_t threshold;
  float scale;
};

__device__ inline MaskDraw mask_draw(const KeyedMask& mask) {
  if (mask.slots == nullptr) return {nullptr, nullptr, {0, 0}, 0, 1.0F};
  return {mask.slots, mask.positions, philox_key(*mask.key), mask.threshold, mask.scale};
}

// Multiplies a block by its mask: the same bits as keep_mask() on the CPU.
__device__ inline void apply_mask(const MaskDraw& draw, int64_t row, int64_t feature, float* values) {
  const uint64_t slot = static_cast<uint64_t>(draw.slots[row]);
  const PhiloxCounter words =
      philox({static_cast<uint32_t>(feature / kBlockFeatures), static_cast<uint32_t>(draw.positions[row]),
              static_cast<uint32_t>(slot), static_cast<uint32_t>(slot >> 32)},
             draw.key);
  HYPERX_UNROLL
  for (int w = 0; w < 4; ++w) {
    values[2 * w] *= (words[w] & 0xFFFFU) >= draw.threshold ? draw.scale : 0.0F;
    values[2 * w + 1] *= (words[w] >> 16) >= draw.threshold ? draw.scale : 0.0F;
  }
}

__device__ inline float warp_sum(float value) {
  HYPERX_UNROLL
  for (int lane = kWarpLanes / 2; lane > 0; lane /= 2) value += __shfl_xor_sync(kAllLanes, value, lane);
  return value;
}

}  // namespace HYPERX_KERNEL_BUILD
}  // namespace hyperx::model::kernels

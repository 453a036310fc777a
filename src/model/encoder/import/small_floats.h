#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace hyperx::model {

// An IEEE half-precision number. Exact.
inline float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half >> 15) << 31, exponent = half >> 10 & 0x1fU,
                 mantissa = half & 0x3ffU;
  if (exponent == 0) {  // zero, or below the smallest normal number
    const float size = std::ldexp(static_cast<float>(mantissa), -24);
    return sign != 0 ? -size : size;
  }
  const uint32_t wide = exponent == 0x1fU ? 0xffU : exponent + 127 - 15;  // infinities and NaNs stay what they are
  return std::bit_cast<float>(sign | wide << 23 | mantissa << 13);
}

// The upper 16 bits of a float, rounded to nearest, ties to even: bf16. `value` is finite; a value that rounds to
// infinity gives infinity.
inline uint16_t float_to_bfloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}
inline bool is_finite_bfloat16(uint16_t value) { return (value & 0x7f80U) != 0x7f80U; }

}  // namespace hyperx::model

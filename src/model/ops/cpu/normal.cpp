#include "model/ops/cpu/normal.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "model/ops/cpu/philox_lanes.h"

// Box-Muller on Philox blocks: the four words of block p give values 2p and 2p + 1. Logarithm, sine and cosine are
// polynomials (those of FreeBSD's libm, with errors below one unit in the last place), because calls would prevent
// vectorisation of the loops. This file is compiled without fused multiply-add (CMakeLists.txt), so that all machines
// draw the same values.
namespace hyperx::model {
namespace {

constexpr int kBlockValues = 2 * kPhiloxLanes;

// log(u) for u in [2⁻⁶⁴, 1].
HYPERX_INLINE double log_of(double u) {
  const uint64_t bits = std::bit_cast<uint64_t>(u);
  // u = m 2^exponent with m in [√½, √2): the exponent is counted from the high word of √½.
  const uint32_t exponent = (static_cast<uint32_t>(bits >> 32) - 0x3FE6A09EU + 0x3FF00000U) >> 20;
  const double m = std::bit_cast<double>(bits - (static_cast<uint64_t>(exponent - 0x3FFU) << 52));
  const double e = static_cast<double>(static_cast<int32_t>(exponent) - 0x3FF);
  const double f = m - 1.0, s = f / (2.0 + f), z = s * s, w = z * z;
  const double even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
  const double odd =
      z * (6.666666666666735130e-01 +
           w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
  const double half_square = 0.5 * f * f;
  return e * 6.93147180369123816490e-01 -
         ((half_square - (s * (half_square + (even + odd)) + e * 1.90821492927058770002e-10)) - f);
}

// cos(2πu) and sin(2πu) for u in [0, 1].
HYPERX_INLINE void cos_and_sin(double u, double& cosine, double& sine) {
  const int32_t quarter = static_cast<int32_t>(4.0 * u + 0.5);
  const double x = 2.0 * std::numbers::pi * (u - 0.25 * static_cast<double>(quarter));  // in [-π/4, π/4]
  const double z = x * x;
  const double sin_x = x + x * z *
                               (-1.66666666666666324348e-01 +
                                z * (8.33333333332248946124e-03 +
                                     z * (-1.98412698298579493134e-04 +
                                          z * (2.75573137070700676789e-06 +
                                               z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)))));
  const double cos_x =
      1.0 - (0.5 * z - z * z *
                           (4.16666666666666019037e-02 +
                            z * (-1.38888888888741095749e-03 +
                                 z * (2.48015872894767294178e-05 +
                                      z * (-2.75573143513906633035e-07 +
                                           z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11))))));
  const bool odd = (quarter & 1) != 0;
  const double c = odd ? sin_x : cos_x, s = odd ? cos_x : sin_x;
  cosine = ((quarter + 1) & 2) != 0 ? -c : c;
  sine = (quarter & 2) != 0 ? -s : s;
}

// Values [kBlockValues * block, kBlockValues * (block + 1)).
template <class T>
HYPERX_INLINE void draw_block(T* HYPERX_RESTRICT out, int64_t block, double deviation, PhiloxKey key) {
  const auto pair = static_cast<uint64_t>(block) * kPhiloxLanes;
  uint32_t words[4][kPhiloxLanes];
  philox_lanes(static_cast<uint32_t>(pair), static_cast<uint32_t>(pair >> 32), 0, 1, key, words);
  double radius[kPhiloxLanes], cosine[kPhiloxLanes], sine[kPhiloxLanes];
  for (int lane = 0; lane < kPhiloxLanes; ++lane) {
    const double u =
        (static_cast<double>(words[0][lane]) + static_cast<double>(words[1][lane]) * 0x1p-32 + 0x1p-33) * 0x1p-32;
    radius[lane] = deviation * std::sqrt(-2.0 * log_of(u));
  }
  for (int lane = 0; lane < kPhiloxLanes; ++lane)
    cos_and_sin((static_cast<double>(words[2][lane]) + static_cast<double>(words[3][lane]) * 0x1p-32) * 0x1p-32,
                cosine[lane], sine[lane]);
  for (int lane = 0; lane < kPhiloxLanes; ++lane) {
    out[2 * lane] = static_cast<T>(radius[lane] * cosine[lane]);
    out[2 * lane + 1] = static_cast<T>(radius[lane] * sine[lane]);
  }
}

template <class T>
HYPERX_INLINE void draw(T* HYPERX_RESTRICT out, int64_t first, int64_t count, double deviation, PhiloxKey key) {
  const int64_t end = first + count;
  for (int64_t at = first; at < end;) {
    const int64_t block = at / kBlockValues, skipped = at % kBlockValues;
    const int64_t taken = std::min(kBlockValues - skipped, end - at);
    if (taken == kBlockValues) {
      draw_block(out + (at - first), block, deviation, key);
    } else {
      T values[kBlockValues];
      draw_block(values, block, deviation, key);
      std::copy_n(values + skipped, taken, out + (at - first));
    }
    at += taken;
  }
}

}  // namespace

HYPERX_MULTIVERSION void normal_values(float* out, int64_t first, int64_t count, double deviation, PhiloxKey key) {
  draw(out, first, count, deviation, key);
}

HYPERX_MULTIVERSION void normal_values(double* out, int64_t first, int64_t count, double deviation, PhiloxKey key) {
  draw(out, first, count, deviation, key);
}

}  // namespace hyperx::model

#include "model/comm/rank_order_sum.h"

#include <c10/util/BFloat16.h>

#include <algorithm>
#include <string>

#include "common/errors.h"

namespace hyperx::comm {
namespace {

constexpr int64_t kBlock = 1024;  // sums of a block stay in the first-level cache

template <class T, class Sum>
void add_parts(const std::vector<const void*>& parts, void* out, int64_t count) {
  Sum sums[kBlock];
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t length = std::min(kBlock, count - begin);
    const T* first = static_cast<const T*>(parts[0]) + begin;
    for (int64_t i = 0; i < length; ++i) sums[i] = static_cast<Sum>(first[i]);
    for (size_t part = 1; part < parts.size(); ++part) {
      const T* more = static_cast<const T*>(parts[part]) + begin;
      for (int64_t i = 0; i < length; ++i) sums[i] += static_cast<Sum>(more[i]);
    }
    T* target = static_cast<T*>(out) + begin;
    for (int64_t i = 0; i < length; ++i) target[i] = static_cast<T>(sums[i]);
  }
}

}  // namespace

void sum_in_rank_order(c10::ScalarType type, const std::vector<const void*>& parts, void* out, int64_t count) {
  switch (type) {
    case c10::ScalarType::Float:
      return add_parts<float, double>(parts, out, count);
    case c10::ScalarType::Double:
      return add_parts<double, double>(parts, out, count);
    case c10::ScalarType::BFloat16:
      return add_parts<c10::BFloat16, float>(parts, out, count);
    case c10::ScalarType::Long:
      return add_parts<int64_t, uint64_t>(parts, out, count);  // unsigned: may wrap around
    case c10::ScalarType::Byte:
      return add_parts<uint8_t, uint32_t>(parts, out, count);
    default:
      HYPERX_CHECK(false, std::string("no sum of type ") + c10::toString(type));
  }
}

}  // namespace hyperx::comm

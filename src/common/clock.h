#pragma once

#include <chrono>

namespace hyperx {

// Time that passes evenly, whatever happens to the date.
using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

}  // namespace hyperx

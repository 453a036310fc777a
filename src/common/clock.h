#pragma once

#include <chrono>
#include <ctime>

namespace hyperx {

// Monotonic time: changes of the system date do not affect it.
using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Reading of one of the kernel's clocks (CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID, ...), in seconds.
inline double clock_seconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace hyperx

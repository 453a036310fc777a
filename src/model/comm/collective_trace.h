#pragma once

#include <atomic>
#include <cstdint>

namespace hyperx::comm {

// Where a rank stands in the common sequence of collectives; written by the thread that calls, read by the watchdog's.
// All ranks make the same calls in the same order, so that the one with the lowest number is the one the others wait
// for.
struct CollectiveTrace {
  std::atomic<int64_t> number{0};         // calls entered so far
  std::atomic<const char*> name{"none"};  // the latest: a string literal
  std::atomic<bool> inside{false};        // has not returned yet
};

}  // namespace hyperx::comm

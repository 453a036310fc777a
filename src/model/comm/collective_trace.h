#pragma once

#include <atomic>
#include <cstdint>

namespace hyperx::comm {

// A rank's position in the common sequence of collectives; written by the calling thread, read by the watchdog's. All
// ranks make the same calls in the same order, so the others wait for the rank with the lowest number.
struct CollectiveTrace {
  std::atomic<int64_t> number{0};         // calls entered so far
  std::atomic<const char*> name{"none"};  // name of the latest call: a string literal
  std::atomic<bool> inside{false};        // the latest call has not returned yet
};

}  // namespace hyperx::comm

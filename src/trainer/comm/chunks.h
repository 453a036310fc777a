#pragma once

#include <algorithm>
#include <cstdint>

namespace hyperx::comm {

// For MPI, whose counts are ints: calls `send(offset, length)` for consecutive pieces of at most `limit` elements that
// cover [0, count).
template <class Send>
void for_each_chunk(int64_t count, int64_t limit, Send send) {
  for (int64_t offset = 0; offset < count; offset += limit)
    send(offset, static_cast<int>(std::min(limit, count - offset)));
}

}  // namespace hyperx::comm

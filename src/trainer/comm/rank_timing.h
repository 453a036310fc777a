#pragma once

#include <cstdint>
#include <vector>

#include "trainer/comm/mpi_session.h"

// Measurements over MPI, for `doctor`. All of them are collective.
namespace hyperx::comm {

struct ClockOffset {
  double seconds = 0;  // that this rank's clock is ahead of rank 0's
  double error = 0;    // half of the fastest round trip
};
// Of this rank.
ClockOffset measure_clock(const MpiSession& session);

// Bytes per second, one way, of messages that each rank r exchanges with rank r + 1, both ways at once; of all r but
// the last, on all ranks. Pairs that share a rank are measured one after the other, the others at the same time.
// `seconds`: time for one pair.
std::vector<double> measure_links(const MpiSession& session, int64_t bytes, double seconds);

}  // namespace hyperx::comm

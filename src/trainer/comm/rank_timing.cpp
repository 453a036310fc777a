#include "trainer/comm/rank_timing.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <string>

#include "common/clock.h"
#include "trainer/comm/mpi_check.h"

namespace hyperx::comm {

namespace {

constexpr int kRoundTrips = 20;
constexpr int kTag = 7;
constexpr int kMostRounds = 1000;

double time_of_day() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// The other side of a round trip with rank 0.
ClockOffset ask_rank_zero(MPI_Comm world) {
  ClockOffset offset{0, std::numeric_limits<double>::infinity()};
  for (int i = 0; i < kRoundTrips; ++i) {
    double sent = time_of_day(), there = 0;
    HYPERX_MPI(MPI_Send(&sent, 1, MPI_DOUBLE, 0, kTag, world));
    HYPERX_MPI(MPI_Recv(&there, 1, MPI_DOUBLE, 0, kTag, world, MPI_STATUS_IGNORE));
    const double received = time_of_day();
    const double error = (received - sent) / 2;
    if (error < offset.error) offset = {(sent + received) / 2 - there, error};
  }
  return offset;
}

void answer(MPI_Comm world, int rank) {
  for (int i = 0; i < kRoundTrips; ++i) {
    double asked = 0;
    HYPERX_MPI(MPI_Recv(&asked, 1, MPI_DOUBLE, rank, kTag, world, MPI_STATUS_IGNORE));
    double now = time_of_day();
    HYPERX_MPI(MPI_Send(&now, 1, MPI_DOUBLE, rank, kTag, world));
  }
}

// Seconds of `rounds` exchanges with `other`.
double exchange(MPI_Comm world, int other, int rounds, std::vector<char>& out, std::vector<char>& in) {
  const auto count = static_cast<int>(out.size());
  const Clock::time_point start = Clock::now();
  for (int i = 0; i < rounds; ++i)
    HYPERX_MPI(MPI_Sendrecv(out.data(), count, MPI_CHAR, other, kTag, in.data(), count, MPI_CHAR, other, kTag, world,
                            MPI_STATUS_IGNORE));
  return seconds_since(start);
}

// Both ranks of the pair make as many rounds as the lower one says.
double link_speed(MPI_Comm world, int rank, int lower, int64_t bytes, double seconds) {
  const int other = rank == lower ? lower + 1 : lower;
  std::vector<char> out(static_cast<size_t>(bytes), 'x'), in(out.size());
  exchange(world, other, 1, out, in);  // opens the connection
  const double one = exchange(world, other, 1, out, in);
  int rounds = static_cast<int>(std::clamp(seconds / std::max(one, 1e-9), 1.0, double{kMostRounds}));
  if (rank == lower)
    HYPERX_MPI(MPI_Send(&rounds, 1, MPI_INT, other, kTag, world));
  else
    HYPERX_MPI(MPI_Recv(&rounds, 1, MPI_INT, other, kTag, world, MPI_STATUS_IGNORE));
  const double all = exchange(world, other, rounds, out, in);
  return static_cast<double>(bytes) * rounds / std::max(all, 1e-9);
}

}  // namespace

ClockOffset measure_clock(const MpiSession& session) {
  if (session.rank() != 0) return ask_rank_zero(session.world());
  for (int rank = 1; rank < session.size(); ++rank) answer(session.world(), rank);
  return {};
}

std::vector<double> measure_links(const MpiSession& session, int64_t bytes, double seconds) {
  double own = 0;  // of the pair (rank, rank + 1)
  for (const int parity : {0, 1}) {
    const int lower = session.rank() % 2 == parity ? session.rank() : session.rank() - 1;
    if (lower >= 0 && lower + 1 < session.size()) {
      const double speed = link_speed(session.world(), session.rank(), lower, bytes, seconds);
      if (lower == session.rank()) own = speed;
    }
    HYPERX_MPI(MPI_Barrier(session.world()));
  }
  std::vector<double> speeds;
  for (const std::string& text : session.gather_texts(std::to_string(own))) speeds.push_back(std::stod(text));
  if (!speeds.empty()) speeds.pop_back();
  return speeds;
}

}  // namespace hyperx::comm

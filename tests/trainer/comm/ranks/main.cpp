// All ranks run the same test cases in the same order. Rank 0 prints as usual, the others only what fails; one failure
// on any rank fails the program.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/trainer/comm/ranks/rank_session.h"
#include "trainer/comm/mpi_check.h"

namespace hyperx::comm {
namespace {

MpiSession* the_session = nullptr;

class FailurePrinter : public testing::EmptyTestEventListener {
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    std::fprintf(stderr, "rank %d: %s:%d: %s\n", the_session->rank(),
                 result.file_name() == nullptr ? "?" : result.file_name(), result.line_number(), result.message());
  }
};

}  // namespace

MpiSession& rank_session() { return *the_session; }

int run_all(int argc, char** argv) {
  MpiSession session;
  the_session = &session;
  testing::InitGoogleTest(&argc, argv);
  if (session.rank() != 0) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailurePrinter);
  }
  int failed = RUN_ALL_TESTS();
  HYPERX_MPI(MPI_Allreduce(MPI_IN_PLACE, &failed, 1, MPI_INT, MPI_MAX, session.world()));
  return failed;
}

}  // namespace hyperx::comm

int main(int argc, char** argv) { return hyperx::comm::run_all(argc, argv); }

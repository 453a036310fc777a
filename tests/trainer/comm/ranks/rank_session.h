#pragma once

#include "trainer/comm/mpi_session.h"

namespace hyperx::comm {

// The session of the test program, which main() owns.
MpiSession& rank_session();

}  // namespace hyperx::comm

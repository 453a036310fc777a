#pragma once

namespace hyperx::comm {

// Throws SystemError with the call, MPI's own message and the place, unless code is MPI_SUCCESS.
void check_mpi(int code, const char* call, const char* file, int line);

}  // namespace hyperx::comm

// Every MPI call is wrapped in it; the communicators are set to MPI_ERRORS_RETURN.
#define HYPERX_MPI(call) ::hyperx::comm::check_mpi((call), #call, __FILE__, __LINE__)

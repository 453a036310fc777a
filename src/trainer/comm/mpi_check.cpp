#include "trainer/comm/mpi_check.h"

#include <mpi.h>

#include <filesystem>
#include <string>

#include "common/errors.h"

namespace hyperx::comm {

void check_mpi(int code, const char* call, const char* file, int line) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) length = 0;
  throw SystemError(std::string(call) + " failed: " + (length > 0 ? std::string(text, length) : "no text") +
                    " (MPI code " + std::to_string(code) + ", " + std::filesystem::path(file).filename().string() +
                    ":" + std::to_string(line) + ")");
}

}  // namespace hyperx::comm

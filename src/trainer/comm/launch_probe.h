#pragma once

#include <functional>
#include <string>

namespace hyperx::comm {

// What the environment variables say about how this process was started.
struct LaunchProbe {
  bool process_manager = false;  // started by a launcher that MPI can talk to (mpirun, srun with PMI or PMIx)
  bool slurm = false;            // the rank count is from SLURM
  int expected_ranks = 1;
  std::string source;  // the variable that expected_ranks comes from
};

using Environment = std::function<const char*(const char* name)>;  // nullptr: not set

LaunchProbe probe_launch(const Environment& environment);

// UserError (64), saying what to do, if the launcher started another number of processes than MPI sees (mpi_size). One:
// each of them would train separately. Launcher and MPI library do not match then.
void check_launch(const LaunchProbe& probe, int mpi_size);

}  // namespace hyperx::comm

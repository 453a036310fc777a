#pragma once

#include <functional>
#include <string>

namespace hyperx::comm {

// What the environment says about how this process was started.
struct LaunchProbe {
  bool process_manager = false;  // a launcher that MPI can talk to (mpirun, srun with PMI or PMIx) started us
  bool slurm = false;            // the rank count is SLURM's
  int expected_ranks = 1;
  std::string source;  // the variable that expected_ranks is from
};

using Environment = std::function<const char*(const char* name)>;  // nullptr: not set

LaunchProbe probe_launch(const Environment& environment);

// UserError (64) with the way out where the launcher started several processes and MPI sees one (mpi_size): each of
// them would train all by itself. Launcher and MPI library do not fit together then.
void check_launch(const LaunchProbe& probe, int mpi_size);

}  // namespace hyperx::comm

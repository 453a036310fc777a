#include "trainer/comm/launch_probe.h"

#include <cstdlib>

#include "common/errors.h"

namespace hyperx::comm {

LaunchProbe probe_launch(const Environment& environment) {
  LaunchProbe probe;
  for (const char* sign : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMIX_NAMESPACE", "PMI_RANK", "PMI_FD",
                           "MPI_LOCALNRANKS", "PALS_RANKID", "FLUX_TASK_RANK"}) {
    if (environment(sign) != nullptr) probe.process_manager = true;
  }
  // mpirun's own count takes precedence over SLURM's: `mpirun -np 1` in an allocation of four tasks is intended. Of
  // SLURM's two counts, the step's takes precedence over the allocation's: `srun -n 1` in such an allocation.
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"}) {
    const char* const text = environment(name);
    if (text == nullptr) continue;
    probe.source = name;
    probe.slurm = probe.source.starts_with("SLURM");
    probe.expected_ranks = std::atoi(text);
    break;
  }
  return probe;
}

void check_launch(const LaunchProbe& probe, int mpi_size) {
  if (mpi_size == probe.expected_ranks || probe.expected_ranks < 1) return;
  if (mpi_size != 1)
    throw UserError(ExitCode::kUsage,
                    probe.source + "=" + std::to_string(probe.expected_ranks) + ", but MPI sees " +
                        std::to_string(mpi_size) +
                        " processes: the launcher and the MPI library disagree. Start with `srun --mpi=pmix hyperx "
                        "...`, or with the mpirun of the MPI library that hyperx was built with (`hyperx --version` "
                        "names it).");
  const std::string seen = probe.source + "=" + std::to_string(probe.expected_ranks) + ", but MPI sees one process: ";
  throw UserError(
      ExitCode::kUsage,
      seen + (probe.slurm
                  ? "each would train alone. Start with `srun --mpi=pmix hyperx ...` (one alone: `srun -n 1`), "
                    "or with `mpirun -np N hyperx ...` in the allocation."
                  : "each would train alone. Start with the mpirun of the MPI library that hyperx was built with "
                    "(`hyperx --version` names it)."));
}

}  // namespace hyperx::comm

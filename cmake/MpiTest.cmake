# hyperx_mpi_test(NAME RANKS COMMAND...): a CTest entry, label mpi, that runs COMMAND in RANKS processes under mpirun on this
# machine, as root too and on fewer cores than ranks.
#
# hyperx_mpi_environment: a list NAME=VALUE, for tests that start mpirun themselves.
set(hyperx_mpi_environment
  OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  OMPI_MCA_rmaps_base_oversubscribe=1          # more ranks than cores
  OMPI_MCA_mpi_yield_when_idle=1               # and none of them spins while it waits
  OMPI_MCA_hwloc_base_binding_policy=none      # all cores for each
  OMPI_MCA_btl_vader_single_copy_mechanism=none  # containers forbid it, and Open MPI would say so each time
  OMP_NUM_THREADS=1)

function(hyperx_mpi_test name ranks)
  add_test(NAME ${name} COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${ranks} ${ARGN})
  set_tests_properties(${name} PROPERTIES LABELS mpi TIMEOUT 900 PROCESSORS ${ranks} ENVIRONMENT "${hyperx_mpi_environment}")
endfunction()

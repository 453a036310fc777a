#pragma once

#include <c10/core/Device.h>

#include <memory>
#include <string>

#include "common/config/config.h"
#include "model/comm/communicator.h"
#include "trainer/comm/mpi_session.h"

namespace hyperx::comm {

// This rank's device for the key `device` (auto, cpu, cuda); a GPU becomes the current one. UserError (78): GPUs that
// cannot be used, more ranks than GPUs. Collective: all ranks get the same kind, or all throw.
c10::Device choose_device(const std::string& device, const MpiSession& session);

// The same for a single process: the first visible GPU.
c10::Device device_of_process(const std::string& device);

// Resolves parallel.backend: auto takes local for one rank, NCCL for GPUs, MPI for CPUs. A requested backend that
// cannot run is a UserError (78), the same on all ranks. Collective. The session must outlive the communicator.
std::unique_ptr<Communicator> make_communicator(const ParallelConfig& config, c10::Device device,
                                                const MpiSession& session);

}  // namespace hyperx::comm

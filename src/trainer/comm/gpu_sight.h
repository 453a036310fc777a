#pragma once

#include "trainer/comm/device_choice.h"

namespace hyperx::comm {

// What the CUDA runtime and the kernel report about this machine. GPUs hidden by CUDA_VISIBLE_DEVICES (empty, -1) do
// not count.
GpuSight look_for_gpus();

// Of the GPU that a rank takes among the visible ones, for `doctor`.
struct GpuDetails {
  int driver_cuda = 0, built_cuda = 0;  // as CUDA writes versions: 13000 is 13.0; 0: unknown
  std::string name, bus;                // empty: there is none, or it cannot be asked
};
GpuDetails describe_gpu(int local_rank, const GpuSight& sight);

}  // namespace hyperx::comm

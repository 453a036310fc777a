#pragma once

#include "trainer/comm/device_choice.h"

namespace hyperx::comm {

// What the CUDA runtime and the kernel report about this machine. GPUs hidden by CUDA_VISIBLE_DEVICES (empty, -1) do
// not count.
GpuSight look_for_gpus();

}  // namespace hyperx::comm

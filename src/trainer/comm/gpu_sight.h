#pragma once

#include "trainer/comm/device_choice.h"

namespace hyperx::comm {

// What the CUDA runtime and the kernel show of this machine. GPUs hidden by CUDA_VISIBLE_DEVICES (empty, -1) are not
// there.
GpuSight look_for_gpus();

}  // namespace hyperx::comm

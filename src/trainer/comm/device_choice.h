#pragma once

#include <string>
#include <vector>

namespace hyperx::comm {

// Which GPU a rank takes. Pure rules, so that they are tested where there is none.

// The GPU of this rank among the `visible` ones: the only one where the launcher shows each rank its own, else the one
// of its local rank. UserError (78) where the ranks of a machine are more than its GPUs.
int choose_gpu(int local_rank, int local_size, int visible, bool sharing_allowed);

struct RankGpu {
  std::string host;
  std::string pci_bus_id;
};

// UserError (78) that names two ranks [by rank] on the same GPU of the same host: NCCL refuses that, or hangs.
void check_distinct_gpus(const std::vector<RankGpu>& gpus, bool sharing_allowed);

// NCCL 2.30.3 and newer with NCCL_MULTI_RANK_GPU_ENABLE=1 lets ranks share a GPU: for tests, not for speed.
bool gpu_sharing_allowed(int nccl_version, const char* multi_rank_gpu_enable);

// "2.28.9" of NCCL's 22809.
std::string nccl_version_text(int version);

// UserError (78) unless the loaded NCCL has the major version of the header and is not older: LibTorch must load the
// same one.
void check_nccl_version(int built, int loaded);

// What `device` asks for, given what is there.
enum class DeviceKind { kCpu, kCuda };
struct GpuSight {
  bool built_with_cuda = false;
  int usable = 0;         // GPUs that the CUDA runtime can use
  bool hardware = false;  // the kernel shows an NVIDIA GPU
  std::string reason;     // of the runtime, where hardware is there and not usable
};
// auto: a GPU where one is usable; one in sight that cannot be used is a UserError (78), never a silent run on the CPU.
DeviceKind choose_device_kind(const std::string& device, const GpuSight& sight);

}  // namespace hyperx::comm

#pragma once

#include <string>
#include <vector>

namespace hyperx::comm {

// Which GPU a rank uses. Pure functions, so that they can be tested without a GPU.

// Index of this rank's GPU among the `visible` ones: 0 if the launcher shows each rank only its own, else the local
// rank. UserError (78): a machine has more ranks than GPUs.
int choose_gpu(int local_rank, int local_size, int visible, bool sharing_allowed);

struct RankGpu {
  std::string host;
  std::string pci_bus_id;
};

// UserError (78) naming two ranks (indices of `gpus`) on the same GPU of the same host: NCCL refuses that, or hangs.
void check_distinct_gpus(const std::vector<RankGpu>& gpus, bool sharing_allowed);

// NCCL 2.30.3 and newer with NCCL_MULTI_RANK_GPU_ENABLE=1 lets ranks share a GPU: for tests, not for speed.
bool gpu_sharing_allowed(int nccl_version, const char* multi_rank_gpu_enable);

// "2.28.9" for NCCL's 22809.
std::string nccl_version_text(int version);

// UserError (78) unless the loaded NCCL has the header's major version and is not older: LibTorch must load the same
// one.
void check_nccl_version(int built, int loaded);

// The kind of device that the key `device` resolves to.
enum class DeviceKind { kCpu, kCuda };
struct GpuSight {
  bool built_with_cuda = false;
  int usable = 0;         // number of GPUs that the CUDA runtime can use
  bool hardware = false;  // the kernel shows an NVIDIA GPU
  std::string reason;     // the runtime's message if there is hardware that is not usable
};
// auto: a GPU if one is usable. A GPU that exists but cannot be used is a UserError (78), never a silent run on the
// CPU.
DeviceKind choose_device_kind(const std::string& device, const GpuSight& sight);

}  // namespace hyperx::comm

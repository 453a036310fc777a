#include "trainer/comm/device_choice.h"

#include <map>
#include <utility>

#include "common/errors.h"

namespace hyperx::comm {

int choose_gpu(int local_rank, int local_size, int visible, bool sharing_allowed) {
  if (visible < 1)
    throw UserError(ExitCode::kBadConfig,
                    "device=cuda, but no GPU is visible (CUDA_VISIBLE_DEVICES?): take device=cpu");
  if (visible == 1) return 0;  // check_distinct_gpus() detects ranks that share it
  if (local_rank >= visible && !sharing_allowed) {
    throw UserError(ExitCode::kBadConfig, std::to_string(local_size) + " ranks on this machine, but " +
                                              std::to_string(visible) + " GPUs: start one rank a GPU (mpirun -np " +
                                              std::to_string(visible) + ")");
  }
  return local_rank % visible;
}

void check_distinct_gpus(const std::vector<RankGpu>& gpus, bool sharing_allowed) {
  if (sharing_allowed) return;
  std::map<std::pair<std::string, std::string>, size_t> owners;
  for (size_t rank = 0; rank < gpus.size(); ++rank) {
    const auto [owner, fresh] = owners.try_emplace({gpus[rank].host, gpus[rank].pci_bus_id}, rank);
    if (fresh) continue;
    throw UserError(ExitCode::kBadConfig,
                    "ranks " + std::to_string(owner->second) + " and " + std::to_string(rank) + " both have GPU " +
                        gpus[rank].pci_bus_id + " of " + gpus[rank].host +
                        ": start one rank a GPU, or show each rank its own (srun --gpus-per-task=1)");
  }
}

bool gpu_sharing_allowed(int nccl_version, const char* multi_rank_gpu_enable) {
  return nccl_version >= 23003 && multi_rank_gpu_enable != nullptr && std::string(multi_rank_gpu_enable) == "1";
}

std::string nccl_version_text(int version) {
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

void check_nccl_version(int built, int loaded) {
  if (built / 10000 == loaded / 10000 && loaded >= built) return;
  throw UserError(ExitCode::kBadConfig, "NCCL " + nccl_version_text(loaded) + " was loaded, hyperx was built with " +
                                            nccl_version_text(built) +
                                            ": put the newer libnccl.so.2 first in LD_LIBRARY_PATH, or build again");
}

DeviceKind choose_device_kind(const std::string& device, const GpuSight& sight) {
  if (device == "cpu") return DeviceKind::kCpu;
  const bool automatic = device == "auto";
  HYPERX_CHECK(automatic || device == "cuda", "no device '" + device + "'");
  if (sight.usable > 0) return DeviceKind::kCuda;
  const std::string asked = "device=" + device;
  if (!sight.hardware) {
    if (automatic) return DeviceKind::kCpu;
    throw UserError(ExitCode::kBadConfig, asked + ", but " +
                                              (sight.built_with_cuda ? "no GPU is visible (CUDA_VISIBLE_DEVICES?)"
                                                                     : "this hyperx was built without CUDA") +
                                              ": take device=cpu");
  }
  if (!sight.built_with_cuda) {
    throw UserError(
        ExitCode::kBadConfig,
        asked +
            ": a GPU is here, but this hyperx was built without CUDA: build with -DHYPERX_CUDA=ON, or take device=cpu");
  }
  throw UserError(ExitCode::kBadConfig, asked + ": a GPU is here, but CUDA cannot use it (" + sight.reason +
                                            "): CUDA 13 needs driver 580 or newer; or take device=cpu");
}

}  // namespace hyperx::comm

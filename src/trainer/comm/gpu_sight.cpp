#include "trainer/comm/gpu_sight.h"

#include <cstdlib>
#include <filesystem>

#ifdef HYPERX_WITH_CUDA
#include <cuda_runtime_api.h>
#endif

namespace hyperx::comm {

GpuSight look_for_gpus() {
  GpuSight sight;
  std::error_code ignored;
  const std::filesystem::path shown = "/proc/driver/nvidia/gpus";
  sight.hardware = std::filesystem::is_directory(shown, ignored) && !std::filesystem::is_empty(shown, ignored);
  const char* const visible = std::getenv("CUDA_VISIBLE_DEVICES");
  if (visible != nullptr && (visible[0] == '\0' || visible[0] == '-')) sight.hardware = false;
#ifdef HYPERX_WITH_CUDA
  sight.built_with_cuda = true;
  int count = 0;
  const cudaError_t code = cudaGetDeviceCount(&count);
  if (code == cudaSuccess) {
    sight.usable = count;
  } else {
    sight.reason = cudaGetErrorString(code);
    static_cast<void>(cudaGetLastError());  // clears the error; the next kernel launch would report it
  }
#endif
  return sight;
}

GpuDetails describe_gpu([[maybe_unused]] int local_rank, [[maybe_unused]] const GpuSight& sight) {
  GpuDetails details;
#ifdef HYPERX_WITH_CUDA
  details.built_cuda = CUDART_VERSION;
  if (cudaDriverGetVersion(&details.driver_cuda) != cudaSuccess) details.driver_cuda = 0;
  if (sight.usable == 0) return details;
  const int index = local_rank % sight.usable;
  cudaDeviceProp properties{};
  if (cudaGetDeviceProperties(&properties, index) == cudaSuccess) details.name = properties.name;
  char bus[32] = "";
  if (cudaDeviceGetPCIBusId(bus, sizeof bus, index) == cudaSuccess) details.bus = bus;
#endif
  return details;
}

}  // namespace hyperx::comm

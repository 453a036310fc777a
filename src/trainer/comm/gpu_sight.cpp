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

}  // namespace hyperx::comm

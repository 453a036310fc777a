#pragma once

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <utility>

namespace hyperx::comm {

// Throw SystemError with the call, the library's own message and the place.
void check_cuda(cudaError_t code, const char* call, const char* file, int line);
void check_nccl(ncclResult_t code, ncclComm_t comm, const char* call, const char* file, int line);

// Owners of CUDA handles on the current device. Destructors log failures.
class CudaStream {
 public:
  CudaStream();  // does not synchronize with the default stream
  ~CudaStream();
  CudaStream(CudaStream&& other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}
  CudaStream& operator=(CudaStream&&) = delete;
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

class CudaEvent {
 public:
  CudaEvent();  // without timing
  ~CudaEvent();
  CudaEvent(CudaEvent&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  CudaEvent& operator=(CudaEvent&&) = delete;
  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace hyperx::comm

#define HYPERX_CUDA_CALL(call) ::hyperx::comm::check_cuda((call), #call, __FILE__, __LINE__)
// ncclInProgress is not an error: communicators do not block.
#define HYPERX_NCCL(call, handle) ::hyperx::comm::check_nccl((call), (handle), #call, __FILE__, __LINE__)

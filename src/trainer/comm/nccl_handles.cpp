#include "trainer/comm/nccl_handles.h"

#include <filesystem>
#include <string>

#include "common/errors.h"
#include "common/log.h"

namespace hyperx::comm {
namespace {

std::string place(const char* file, int line) {
  return " (" + std::filesystem::path(file).filename().string() + ":" + std::to_string(line) + ")";
}

}  // namespace

void check_cuda(cudaError_t code, const char* call, const char* file, int line) {
  if (code == cudaSuccess) return;
  throw SystemError(std::string(call) + " failed: " + cudaGetErrorString(code) + place(file, line));
}

void check_nccl(ncclResult_t code, ncclComm_t comm, const char* call, const char* file, int line) {
  if (code == ncclSuccess || code == ncclInProgress) return;
  const char* const last = ncclGetLastError(comm);
  std::string text = std::string(call) + " failed: " + ncclGetErrorString(code);
  if (last != nullptr && last[0] != '\0') text += ": " + std::string(last);
  throw SystemError(text + place(file, line) + "; set NCCL_DEBUG=WARN for details");
}

CudaStream::CudaStream() { HYPERX_CUDA_CALL(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }

CudaStream::~CudaStream() {
  if (stream_ == nullptr) return;
  const cudaError_t code = cudaStreamDestroy(stream_);
  if (code != cudaSuccess) log::write_warning(std::string("cudaStreamDestroy failed: ") + cudaGetErrorString(code));
}

CudaEvent::CudaEvent() { HYPERX_CUDA_CALL(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming)); }

CudaEvent::~CudaEvent() {
  if (event_ == nullptr) return;
  const cudaError_t code = cudaEventDestroy(event_);
  if (code != cudaSuccess) log::write_warning(std::string("cudaEventDestroy failed: ") + cudaGetErrorString(code));
}

}  // namespace hyperx::comm

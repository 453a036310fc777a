#include "trainer/comm/nccl_communicator.h"

#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <thread>

#include "common/errors.h"
#include "common/log.h"
#include "trainer/comm/device_choice.h"

namespace hyperx::comm {
namespace {

constexpr std::chrono::milliseconds kEndLimit{30'000};
constexpr std::chrono::microseconds kPollPause{20};
constexpr std::chrono::seconds kStopped{2};  // without a look: this process was stopped, which does not count

ncclDataType_t nccl_type(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return ncclFloat32;
    case at::kDouble:
      return ncclFloat64;
    case at::kLong:
      return ncclInt64;
    case at::kByte:
      return ncclUint8;
    case at::kBFloat16:
      return ncclBfloat16;
    default:
      HYPERX_CHECK(false, std::string("no messages of type ") + c10::toString(type));
  }
  return ncclUint8;
}

std::string pci_bus_id(int device) {
  char text[32] = "";
  HYPERX_CUDA_CALL(cudaDeviceGetPCIBusId(text, sizeof text, device));
  return text;
}

}  // namespace

NcclCommunicator::NcclCommunicator(const MpiSession& session, NcclLimits limits)
    : Communicator(session.info()), host_(session), limits_(limits), exceptions_at_start_(std::uncaught_exceptions()) {
  HYPERX_CUDA_CALL(cudaGetDevice(&device_));
  int loaded = 0;
  HYPERX_NCCL(ncclGetVersion(&loaded), nullptr);
  check_nccl_version(NCCL_VERSION_CODE, loaded);
  std::vector<RankGpu> gpus;
  for (const std::string& id : session.gather_texts(pci_bus_id(device_)))
    gpus.push_back({info().hosts.at(gpus.size()), id});
  check_distinct_gpus(gpus, gpu_sharing_allowed(loaded, std::getenv("NCCL_MULTI_RANK_GPU_ENABLE")));
  try {
    connect(session);
  } catch (...) {
    abort_comm();  // the destructor of a partly constructed object does not run
    throw;
  }
}

void NcclCommunicator::connect(const MpiSession& session) {
  ncclUniqueId id;
  std::string bytes(sizeof id, '\0');
  if (session.rank() == 0) {
    HYPERX_NCCL(ncclGetUniqueId(&id), nullptr);
    std::memcpy(bytes.data(), &id, sizeof id);
  }
  host_.broadcast_bytes(bytes);
  std::memcpy(&id, bytes.data(), sizeof id);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  HYPERX_NCCL(ncclCommInitRankConfig(&comm_, size(), id, rank(), &config), comm_);
  poll("start of NCCL", limits_.start, [this] { return is_idle(); });
}

NcclCommunicator::~NcclCommunicator() {
  if (comm_ == nullptr) return;
  if (std::uncaught_exceptions() > exceptions_at_start_) {
    abort_comm();  // the other ranks may never arrive
    return;
  }
  try {
    do_synchronize();
    HYPERX_NCCL(ncclCommFinalize(comm_), comm_);
    poll("end of NCCL", kEndLimit, [this] { return is_idle(); });
    HYPERX_NCCL(ncclCommDestroy(comm_), nullptr);
  } catch (const std::exception& error) {
    log::write_warning(std::string("NCCL did not end well: ") + error.what());
    abort_comm();
  }
}

void NcclCommunicator::abort_comm() {
  if (comm_ == nullptr) return;
  const ncclResult_t code = ncclCommAbort(std::exchange(comm_, nullptr));
  if (code != ncclSuccess && code != ncclInProgress)
    log::write_warning(std::string("ncclCommAbort failed: ") + ncclGetErrorString(code));
}

bool NcclCommunicator::is_idle() {
  ncclResult_t state = ncclSuccess;
  HYPERX_NCCL(ncclCommGetAsyncError(comm_, &state), comm_);
  HYPERX_NCCL(state, comm_);
  return state != ncclInProgress;
}

void NcclCommunicator::poll(const char* name, std::chrono::milliseconds limit, const std::function<bool()>& done) {
  auto looked = std::chrono::steady_clock::now(), end = looked + limit;
  try {
    while (!(is_idle() && done())) {
      const auto now = std::chrono::steady_clock::now();
      if (now - looked > kStopped) end += now - looked;
      looked = now;
      if (abort_requested_) throw SystemError(std::string(name) + ": given up, the watchdog ends this job");
      if (now >= end) {
        throw SystemError(std::string(name) + ": no end after " + std::to_string(limit.count() / 1000) +
                          " s: a rank is missing, or the network between GPUs fails; set NCCL_DEBUG=WARN for details");
      }
      std::this_thread::sleep_for(kPollPause);
    }
  } catch (...) {
    abort_comm();
    throw;
  }
}

void NcclCommunicator::run_after_current(const char* name, const std::function<void(cudaStream_t)>& call) {
  if (comm_ == nullptr) throw SystemError(std::string(name) + ": NCCL was aborted after an earlier error");
  const cudaStream_t current = c10::cuda::getCurrentCUDAStream(static_cast<c10::DeviceIndex>(device_)).stream();
  HYPERX_CUDA_CALL(cudaEventRecord(before_.get(), current));
  HYPERX_CUDA_CALL(cudaStreamWaitEvent(stream_.get(), before_.get(), 0));
  call(stream_.get());
  poll(name, limits_.wait, [this] { return is_idle(); });  // now it is in the stream; an earlier event would miss it
}

void NcclCommunicator::do_finish_sums() {
  const cudaStream_t current = c10::cuda::getCurrentCUDAStream(static_cast<c10::DeviceIndex>(device_)).stream();
  HYPERX_CUDA_CALL(cudaEventRecord(after_.get(), stream_.get()));
  // torch reuses memory in the order of its current stream, which waits here: no tensor needs to be kept alive.
  HYPERX_CUDA_CALL(cudaStreamWaitEvent(current, after_.get(), 0));
}

void NcclCommunicator::run_ordered(const char* name, const std::function<void(cudaStream_t)>& call) {
  run_after_current(name, call);
  do_finish_sums();
}

void NcclCommunicator::do_broadcast(at::Tensor& tensor, int root) {
  if (tensor.is_cpu()) return host_.do_broadcast(tensor, root);
  run_ordered("broadcast", [&](cudaStream_t stream) {
    HYPERX_NCCL(ncclBroadcast(tensor.data_ptr(), tensor.data_ptr(), tensor.numel(), nccl_type(tensor.scalar_type()),
                              root, comm_, stream),
                comm_);
  });
}

void NcclCommunicator::do_all_reduce(at::Tensor& tensor) {
  if (tensor.is_cpu()) return host_.do_all_reduce(tensor);
  run_ordered("all_reduce", [&](cudaStream_t stream) { sum(tensor, stream); });
}

void NcclCommunicator::do_start_all_reduce(at::Tensor& tensor) {
  if (tensor.is_cpu()) return host_.do_all_reduce(tensor);
  run_after_current("all_reduce", [&](cudaStream_t stream) { sum(tensor, stream); });
}

void NcclCommunicator::sum(at::Tensor& tensor, cudaStream_t stream) {
  HYPERX_NCCL(ncclAllReduce(tensor.data_ptr(), tensor.data_ptr(), tensor.numel(), nccl_type(tensor.scalar_type()),
                            ncclSum, comm_, stream),
              comm_);
}

void NcclCommunicator::do_all_gather(const at::Tensor& input, at::Tensor& output, const std::vector<int64_t>& counts) {
  if (output.is_cpu()) return host_.do_all_gather(input, output, counts);
  const ncclDataType_t type = nccl_type(output.scalar_type());
  const size_t width = output.element_size();
  const bool equal = std::all_of(counts.begin(), counts.end(), [&](int64_t count) { return count == counts[0]; });
  run_ordered("all_gather", [&](cudaStream_t stream) {
    if (equal) {
      HYPERX_NCCL(ncclAllGather(input.data_ptr(), output.data_ptr(), counts[0], type, comm_, stream), comm_);
      return;
    }
    HYPERX_NCCL(ncclGroupStart(), comm_);
    auto* target = static_cast<char*>(output.data_ptr());
    for (int from = 0; from < size(); ++from) {
      const void* source = from == rank() ? input.data_ptr() : target;
      if (counts[from] > 0) HYPERX_NCCL(ncclBroadcast(source, target, counts[from], type, from, comm_, stream), comm_);
      target += counts[from] * width;
    }
    HYPERX_NCCL(ncclGroupEnd(), comm_);
  });
}

void NcclCommunicator::do_reduce_scatter(const at::Tensor& input, at::Tensor& output) {
  if (output.is_cpu()) return host_.do_reduce_scatter(input, output);
  run_ordered("reduce_scatter", [&](cudaStream_t stream) {
    HYPERX_NCCL(ncclReduceScatter(input.data_ptr(), output.data_ptr(), output.numel(), nccl_type(output.scalar_type()),
                                  ncclSum, comm_, stream),
                comm_);
  });
}

void NcclCommunicator::do_synchronize() {
  if (comm_ == nullptr) throw SystemError("NCCL was aborted after an earlier error");
  // Never call cudaStreamSynchronize: it would not return when a rank is lost.
  poll("wait for the GPUs", limits_.wait, [this] {
    const cudaError_t state = cudaStreamQuery(stream_.get());
    if (state != cudaErrorNotReady) HYPERX_CUDA_CALL(state);
    return state == cudaSuccess;
  });
}

void NcclCommunicator::do_wait_until(const std::function<bool()>& done) {
  if (comm_ == nullptr) throw SystemError("NCCL was aborted after an earlier error");
  poll("wait for a step", limits_.wait, done);
}

void NcclCommunicator::do_barrier() {
  do_synchronize();
  host_.do_barrier();
}

void NcclCommunicator::do_reduce_control(std::vector<int64_t>& values, bool maximum) {
  host_.do_reduce_control(values, maximum);
}

void NcclCommunicator::do_broadcast_bytes(std::string& bytes, int root) {
  do_synchronize();
  host_.do_broadcast_bytes(bytes, root);
}

}  // namespace hyperx::comm

#include "trainer/comm/make_communicator.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "common/errors.h"
#include "model/comm/local_communicator.h"
#include "trainer/comm/device_choice.h"
#include "trainer/comm/gpu_sight.h"
#include "trainer/comm/mpi_communicator.h"

#ifdef HYPERX_WITH_CUDA
#include "trainer/comm/nccl_communicator.h"
#endif

namespace hyperx::comm {
namespace {

c10::Device own_device(const std::string& device, const MpiSession& session) {
  const GpuSight sight = look_for_gpus();
  if (choose_device_kind(device, sight) == DeviceKind::kCpu) return c10::kCPU;
#ifdef HYPERX_WITH_CUDA
  int nccl_version = 0;
  HYPERX_NCCL(ncclGetVersion(&nccl_version), nullptr);
  const bool sharing = gpu_sharing_allowed(nccl_version, std::getenv("NCCL_MULTI_RANK_GPU_ENABLE"));
  const int index = choose_gpu(session.info().local_rank, session.info().local_size, sight.usable, sharing);
  HYPERX_CUDA_CALL(cudaSetDevice(index));
  return {c10::kCUDA, static_cast<c10::DeviceIndex>(index)};
#else
  HYPERX_CHECK(false, "a build without CUDA chose a GPU of rank " + std::to_string(session.rank()));
  return c10::kCPU;
#endif
}

// Throws the first rank's UserError on all ranks, so that none waits for a rank that has given up.
void share_error(const MpiSession& session, const std::string& own_error) {
  const std::vector<std::string> errors = session.gather_texts(own_error);
  for (int rank = 0; rank < session.size(); ++rank) {
    if (errors[rank].empty()) continue;
    const bool all_equal =
        std::all_of(errors.begin(), errors.end(), [&](const auto& text) { return text == errors[0]; });
    throw UserError(ExitCode::kBadConfig, all_equal ? errors[rank]
                                                    : "rank " + std::to_string(rank) + " on " +
                                                          session.info().hosts[rank] + ": " + errors[rank]);
  }
}

[[noreturn]] void refuse(const std::string& backend, const std::string& reason) {
  throw UserError(ExitCode::kBadConfig, "parallel.backend=" + backend + ": " + reason);
}

std::unique_ptr<Communicator> make_nccl([[maybe_unused]] const ParallelConfig& config,
                                        [[maybe_unused]] const MpiSession& session) {
#ifdef HYPERX_WITH_CUDA
  if (!session.launched()) refuse("nccl", "ranks find each other over MPI: start with `mpirun -np N hyperx ...`");
  const NcclLimits limits{std::chrono::seconds(config.start_limit_seconds),
                          config.step_limit_seconds > 0 ? std::chrono::seconds(config.step_limit_seconds)
                                                        : std::chrono::seconds(300)};  // the watchdog is earlier
  return std::make_unique<NcclCommunicator>(session, limits);
#else
  refuse("nccl", "this hyperx was built without CUDA: build with -DHYPERX_CUDA=ON, or take mpi");
#endif
}

}  // namespace

c10::Device device_of_process(const std::string& device) {
  return choose_device_kind(device, look_for_gpus()) == DeviceKind::kCpu ? c10::Device(c10::kCPU)
                                                                         : c10::Device(c10::kCUDA, 0);
}

c10::Device choose_device(const std::string& device, const MpiSession& session) {
  c10::Device chosen = c10::kCPU;
  std::string error;
  try {
    chosen = own_device(device, session);
  } catch (const UserError& refused) {
    error = refused.what();
  }
  share_error(session, error);
  const std::vector<std::string> kinds = session.gather_texts(chosen.is_cuda() ? "cuda" : "cpu");
  const auto other = std::find_if(kinds.begin(), kinds.end(), [&](const auto& kind) { return kind != kinds[0]; });
  if (other != kinds.end()) {
    const auto rank = other - kinds.begin();
    throw UserError(ExitCode::kBadConfig, "device=" + device + " is " + kinds[0] + " on rank 0 (" +
                                              session.info().hosts[0] + ") and " + *other + " on rank " +
                                              std::to_string(rank) + " (" + session.info().hosts[rank] +
                                              "): name one of them");
  }
  return chosen;
}

std::unique_ptr<Communicator> make_communicator(const ParallelConfig& config, c10::Device device,
                                                const MpiSession& session) {
  std::string backend = config.backend;
  if (backend == "auto") backend = session.size() == 1 ? "local" : device.is_cuda() ? "nccl" : "mpi";
  if (backend == "local") {
    if (session.size() > 1)
      refuse(backend, "is for one rank, but " + std::to_string(session.size()) + " were started: take auto");
    return std::make_unique<LocalCommunicator>(session.info());
  }
  if (backend == "mpi") {
    if (device.is_cuda()) refuse(backend, "carries CPU tensors, but device is cuda: take auto or nccl");
    if (!session.launched())
      refuse(backend, "MPI was not started: start with `mpirun -np N hyperx ...`, or take local");
    return std::make_unique<MpiCommunicator>(session);
  }
  HYPERX_CHECK(backend == "nccl", "no backend '" + backend + "'");
  if (!device.is_cuda()) refuse(backend, "carries CUDA tensors, but device is cpu: take auto or mpi");
  return make_nccl(config, session);
}

}  // namespace hyperx::comm

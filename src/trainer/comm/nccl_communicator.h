#pragma once

#include <atomic>
#include <chrono>
#include <functional>

#include "model/comm/communicator.h"
#include "trainer/comm/mpi_communicator.h"
#include "trainer/comm/mpi_session.h"
#include "trainer/comm/nccl_handles.h"

namespace hyperx::comm {

struct NcclLimits {
  std::chrono::milliseconds start{600'000};  // until all ranks have found each other
  std::chrono::milliseconds wait{300'000};   // for one call, or for synchronize()
};

// Collectives of CUDA tensors over NCCL; control messages and CPU tensors use MPI (MpiCommunicator).
//
// Calls run on a separate stream, between events of torch's current stream. The communicator does not block
// (blocking=0): the main thread polls it, and aborts it on an error, on a timeout, or when the watchdog asks.
class NcclCommunicator final : public Communicator {
 public:
  // Uses the current CUDA device (choose_gpu). Collective; UserError (78): two ranks on one GPU, another NCCL than
  // built with.
  NcclCommunicator(const MpiSession& session, NcclLimits limits);
  ~NcclCommunicator() override;
  const char* backend() const override { return "nccl"; }
  bool sums_run_beside() const override { return true; }
  void request_abort() override { abort_requested_ = true; }

 protected:
  void do_broadcast(at::Tensor& tensor, int root) override;
  void do_all_reduce(at::Tensor& tensor) override;
  void do_start_all_reduce(at::Tensor& tensor) override;
  void do_finish_sums() override;
  void do_all_gather(const at::Tensor& input, at::Tensor& output, const std::vector<int64_t>& counts) override;
  void do_reduce_scatter(const at::Tensor& input, at::Tensor& output) override;
  void do_barrier() override;
  void do_synchronize() override;
  void do_wait_until(const std::function<bool()>& done) override;
  void do_reduce_control(std::vector<int64_t>& values, bool maximum) override;
  void do_broadcast_bytes(std::string& bytes, int root) override;

 private:
  void connect(const MpiSession& session);
  // Runs `call` (NCCL calls on stream_) after the work already queued on torch's current stream.
  void run_after_current(const char* name, const std::function<void(cudaStream_t)>& call);
  // The same, and before work queued on the current stream later.
  void run_ordered(const char* name, const std::function<void(cudaStream_t)>& call);
  void sum(at::Tensor& tensor, cudaStream_t stream);
  // Polls until `done` returns true. SystemError, with the communicator aborted: an asynchronous error, the limit,
  // request_abort().
  void poll(const char* name, std::chrono::milliseconds limit, const std::function<bool()>& done);
  bool is_idle();  // true: the latest call is no longer "in progress"
  void abort_comm();

  MpiCommunicator host_;
  NcclLimits limits_;
  int device_ = 0;
  ncclComm_t comm_ = nullptr;
  std::atomic<bool> abort_requested_{false};
  int exceptions_at_start_ = 0;
  CudaStream stream_;
  CudaEvent before_, after_;
};

}  // namespace hyperx::comm

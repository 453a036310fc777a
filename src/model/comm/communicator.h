#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "model/comm/collective_trace.h"
#include "model/comm/rank_info.h"

namespace hyperx::comm {

// Communication between ranks.
//
// Contract: all ranks make the same calls in the same order with the same shapes and types. One thread calls at a time:
// the main thread, or autograd's within a backward pass that the main thread waits for. Tensors are contiguous, of type
// float, double, int64, uint8 or bfloat16, and are changed in place; counts come from numel(). A tensor without
// elements sends no message. A breach that a single rank can detect is a bug (HYPERX_CHECK).
//
// Sums: the same ranks and the same input give the same bits, on every rank and in every run. MPI: added in rank order,
// float in double and bfloat16 in float, rounded once; so the bits do not depend on how values are grouped into
// messages either. Integers wrap around. NCCL: the order is NCCL's; NCCL_ALGO=Ring fixes it.
//
// On CUDA a call is ordered with torch's current stream like a kernel and may return before it is done; synchronize()
// waits. An error of the library, a lost rank or a timeout is a SystemError. The communicator is unusable after it;
// exit through run_rank().
class Communicator {
 public:
  explicit Communicator(RankInfo info) : info_(std::move(info)) {}
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const { return info_.rank; }
  int size() const { return info_.size; }
  int local_rank() const { return info_.local_rank; }
  const RankInfo& info() const { return info_; }
  virtual const char* backend() const = 0;  // "local", "mpi", "nccl", "threads"

  void broadcast(at::Tensor tensor, int root = 0);
  void all_reduce(at::Tensor tensor);  // sum
  // The same sum in the background: `tensor` must not be used before finish_sums(). Only NCCL returns before the sum is
  // done.
  void start_all_reduce(at::Tensor tensor);
  void finish_sums() { do_finish_sums(); }
  virtual bool sums_run_beside() const { return false; }
  // `output` [size * n] gets every rank's `input` [n] in rank order; `input` may be this rank's own part of `output`.
  void all_gather(const at::Tensor& input, at::Tensor output);
  // The same with counts[r] elements from rank r. `counts` is equal on all ranks, and counts[rank()] == input.numel().
  void all_gather_v(const at::Tensor& input, at::Tensor output, const std::vector<int64_t>& counts);
  // `output` [n] gets this rank's part of the sum of all `input` [size * n]; it may be that part of `input`.
  void reduce_scatter(const at::Tensor& input, at::Tensor output);
  void barrier();
  // Returns when all calls so far are done on the device; a failed call throws here at the latest.
  void synchronize();
  // Returns when `done` returns true for other work on the device. Such work may hang because a call hangs; this then
  // throws as the call would.
  void wait_until(const std::function<bool()>& done) { do_wait_until(done); }

  // Control messages between hosts, of a few values: agreed decisions such as "stop" or "save". Sums and maxima do not
  // wait for the device.
  std::vector<int64_t> all_reduce_max(std::vector<int64_t> values);
  std::vector<int64_t> all_reduce_sum(std::vector<int64_t> values);
  void broadcast_bytes(std::string& bytes, int root = 0);  // any length; resized to root's

  // Bytes that this rank sends when n ranks form a ring and a message holds S bytes (broadcast: the mean over ranks):
  //   all_reduce 2 S (n-1)/n;  broadcast, reduce_scatter (S: input) S (n-1)/n;
  //   all_gather (S: output) S - the bytes of rank + 1
  // A figure for comparing methods: the library may send in another way. Control messages count too.
  int64_t bytes_sent() const { return bytes_sent_; }
  int64_t payload_bytes() const { return payload_bytes_; }  // the sum of S
  const CollectiveTrace& trace() const { return trace_; }

  // May be called from any thread: a call that polls (NCCL) throws SystemError at its next poll. Others do not notice.
  virtual void request_abort() {}

 protected:
  virtual void do_broadcast(at::Tensor& tensor, int root) = 0;
  virtual void do_all_reduce(at::Tensor& tensor) = 0;
  virtual void do_start_all_reduce(at::Tensor& tensor) { do_all_reduce(tensor); }
  virtual void do_finish_sums() {}
  virtual void do_all_gather(const at::Tensor& input, at::Tensor& output, const std::vector<int64_t>& counts) = 0;
  virtual void do_reduce_scatter(const at::Tensor& input, at::Tensor& output) = 0;
  virtual void do_barrier() = 0;
  virtual void do_synchronize() {}
  virtual void do_wait_until(const std::function<bool()>& done);
  virtual void do_reduce_control(std::vector<int64_t>& values, bool maximum) = 0;
  virtual void do_broadcast_bytes(std::string& bytes, int root) = 0;

 private:
  void check_tensor(const at::Tensor& tensor) const;
  void check_root(int root) const;
  std::vector<int64_t> reduce_control(std::vector<int64_t> values, bool maximum, const char* name);
  void count(int64_t payload, int64_t sent);
  void count_all_reduce(const at::Tensor& tensor);

  RankInfo info_;
  CollectiveTrace trace_;
  int64_t bytes_sent_ = 0;
  int64_t payload_bytes_ = 0;
};

}  // namespace hyperx::comm

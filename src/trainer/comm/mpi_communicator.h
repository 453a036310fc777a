#pragma once

#include <mpi.h>

#include "model/comm/communicator.h"
#include "trainer/comm/mpi_session.h"

namespace hyperx::comm {

// Collectives of CPU tensors over MPI; the reference for the other communicators.
//
// Sums do not use MPI_Allreduce, whose order depends on message size, rank count and MPI library. Up to
// kGatherElements, every rank gets all parts and adds them. Above that, rank r gets share r of every rank, adds them,
// and sends the sum to all, with as many bytes as a ring. Both add in rank order.
class MpiCommunicator final : public Communicator {
 public:
  static constexpr int64_t kGatherElements = 1024;
  static constexpr int64_t kChunkElements = int64_t{1} << 23;  // also bounds the scratch memory: 64 MiB of double

  // The session must outlive it and be launched(). `chunk_elements`: longest message of one MPI call; tests lower it.
  explicit MpiCommunicator(const MpiSession& session, int64_t chunk_elements = kChunkElements);
  ~MpiCommunicator() override;
  const char* backend() const override { return "mpi"; }

  // Public for NcclCommunicator, which sends host data through an MpiCommunicator.
  void do_broadcast(at::Tensor& tensor, int root) override;
  void do_all_reduce(at::Tensor& tensor) override;
  void do_all_gather(const at::Tensor& input, at::Tensor& output, const std::vector<int64_t>& counts) override;
  void do_reduce_scatter(const at::Tensor& input, at::Tensor& output) override;
  void do_barrier() override;
  void do_reduce_control(std::vector<int64_t>& values, bool maximum) override;
  void do_broadcast_bytes(std::string& bytes, int root) override;

 private:
  void check_on_host(const at::Tensor& tensor) const;
  void sum_gathered(char* values, int count, at::ScalarType type);
  void sum_shared(char* values, int count, at::ScalarType type);
  // Sends sends[r] (lengths[r] elements) to every other rank r, receives lengths[rank()] elements from each, and writes
  // their sum with our own sends[rank()] to `sum`.
  void exchange_and_sum(const std::vector<const char*>& sends, const std::vector<int>& lengths, at::ScalarType type,
                        char* sum);
  char* scratch(size_t bytes);

  MPI_Comm comm_ = MPI_COMM_NULL;
  int64_t chunk_elements_;
  std::vector<char> scratch_;
};

}  // namespace hyperx::comm

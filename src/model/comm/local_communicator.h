#pragma once

#include "model/comm/communicator.h"

namespace hyperx::comm {

// A single rank, on any device: sums change nothing, gathers are copies.
class LocalCommunicator final : public Communicator {
 public:
  explicit LocalCommunicator(RankInfo info = {});
  const char* backend() const override { return "local"; }

 protected:
  void do_broadcast(at::Tensor&, int) override {}
  void do_all_reduce(at::Tensor&) override {}
  void do_all_gather(const at::Tensor& input, at::Tensor& output, const std::vector<int64_t>&) override;
  void do_reduce_scatter(const at::Tensor& input, at::Tensor& output) override;
  void do_barrier() override {}
  void do_reduce_control(std::vector<int64_t>&, bool) override {}
  void do_broadcast_bytes(std::string&, int) override {}
};

}  // namespace hyperx::comm

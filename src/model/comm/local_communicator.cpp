#include "model/comm/local_communicator.h"

#include "common/errors.h"

namespace hyperx::comm {
namespace {

void copy_unless_same(const at::Tensor& input, at::Tensor& output) {
  if (input.data_ptr() != output.data_ptr()) output.view({-1}).copy_(input.view({-1}));
}

}  // namespace

LocalCommunicator::LocalCommunicator(RankInfo info) : Communicator(std::move(info)) {
  HYPERX_CHECK(size() == 1, "a local communicator has one rank");
}

void LocalCommunicator::do_all_gather(const at::Tensor& input, at::Tensor& output, const std::vector<int64_t>&) {
  copy_unless_same(input, output);
}

void LocalCommunicator::do_reduce_scatter(const at::Tensor& input, at::Tensor& output) {
  copy_unless_same(input, output);
}

}  // namespace hyperx::comm

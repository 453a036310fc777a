#include "model/comm/communicator.h"

#include <chrono>
#include <numeric>
#include <thread>

#include "common/errors.h"

namespace hyperx::comm {
namespace {

// Marks a collective as entered, and as left when it returns or throws.
class TracedCall {
 public:
  TracedCall(CollectiveTrace& trace, const char* name) : trace_(trace) {
    trace_.name = name;
    ++trace_.number;
    trace_.inside = true;
  }
  ~TracedCall() { trace_.inside = false; }
  TracedCall(const TracedCall&) = delete;
  TracedCall& operator=(const TracedCall&) = delete;

 private:
  CollectiveTrace& trace_;
};

int64_t size_bytes(const at::Tensor& tensor) { return tensor.numel() * static_cast<int64_t>(tensor.element_size()); }

}  // namespace

void Communicator::check_tensor(const at::Tensor& tensor) const {
  HYPERX_CHECK(tensor.defined() && tensor.is_contiguous(), "messages are contiguous tensors");
  const at::ScalarType type = tensor.scalar_type();
  HYPERX_CHECK(
      type == at::kFloat || type == at::kDouble || type == at::kLong || type == at::kByte || type == at::kBFloat16,
      std::string("no messages of type ") + c10::toString(type));
}

void Communicator::check_root(int root) const {
  HYPERX_CHECK(root >= 0 && root < size(), "root " + std::to_string(root) + " of " + std::to_string(size()) + " ranks");
}

void Communicator::count(int64_t payload, int64_t sent) {
  payload_bytes_ += payload;
  bytes_sent_ += sent;
}

void Communicator::count_all_reduce(const at::Tensor& tensor) {
  const int64_t bytes = size_bytes(tensor);
  count(bytes, 2 * bytes * (size() - 1) / size());
}

void Communicator::broadcast(at::Tensor tensor, int root) {
  check_tensor(tensor);
  check_root(root);
  if (tensor.numel() == 0) return;
  const TracedCall call(trace_, "broadcast");
  do_broadcast(tensor, root);
  const int64_t bytes = size_bytes(tensor);
  count(bytes, bytes * (size() - 1) / size());
}

void Communicator::all_reduce(at::Tensor tensor) {
  check_tensor(tensor);
  if (tensor.numel() == 0) return;
  const TracedCall call(trace_, "all_reduce");
  do_all_reduce(tensor);
  count_all_reduce(tensor);
}

void Communicator::start_all_reduce(at::Tensor tensor) {
  check_tensor(tensor);
  if (tensor.numel() == 0) return;
  const TracedCall call(trace_, "all_reduce");
  do_start_all_reduce(tensor);
  count_all_reduce(tensor);
}

void Communicator::all_gather(const at::Tensor& input, at::Tensor output) {
  all_gather_v(input, std::move(output), std::vector<int64_t>(size(), input.numel()));
}

void Communicator::all_gather_v(const at::Tensor& input, at::Tensor output, const std::vector<int64_t>& counts) {
  check_tensor(input);
  check_tensor(output);
  HYPERX_CHECK(input.scalar_type() == output.scalar_type() && input.device() == output.device(),
               "input is unlike output");
  HYPERX_CHECK(static_cast<int>(counts.size()) == size() && counts[rank()] == input.numel() &&
                   std::accumulate(counts.begin(), counts.end(), int64_t{0}) == output.numel(),
               "counts do not fit input and output");
  if (output.numel() == 0) return;
  const TracedCall call(trace_, "all_gather");
  do_all_gather(input, output, counts);
  const int64_t next = counts[(rank() + 1) % size()];
  count(size_bytes(output), size() == 1 ? 0 : (output.numel() - next) * static_cast<int64_t>(output.element_size()));
}

void Communicator::reduce_scatter(const at::Tensor& input, at::Tensor output) {
  check_tensor(input);
  check_tensor(output);
  HYPERX_CHECK(input.scalar_type() == output.scalar_type() && input.device() == output.device(),
               "input is unlike output");
  HYPERX_CHECK(input.numel() == output.numel() * size(), "input is not size() times output");
  if (output.numel() == 0) return;
  const TracedCall call(trace_, "reduce_scatter");
  do_reduce_scatter(input, output);
  const int64_t bytes = size_bytes(input);
  count(bytes, bytes * (size() - 1) / size());
}

void Communicator::barrier() {
  const TracedCall call(trace_, "barrier");
  do_barrier();
}

void Communicator::synchronize() { do_synchronize(); }

void Communicator::do_wait_until(const std::function<bool()>& done) {
  constexpr std::chrono::microseconds kPause{20};
  while (!done()) std::this_thread::sleep_for(kPause);
}

std::vector<int64_t> Communicator::reduce_control(std::vector<int64_t> values, bool maximum, const char* name) {
  if (values.empty()) return values;
  const TracedCall call(trace_, name);
  do_reduce_control(values, maximum);
  const auto bytes = static_cast<int64_t>(values.size() * sizeof(int64_t));
  count(bytes, 2 * bytes * (size() - 1) / size());
  return values;
}

std::vector<int64_t> Communicator::all_reduce_max(std::vector<int64_t> values) {
  return reduce_control(std::move(values), true, "all_reduce_max");
}

std::vector<int64_t> Communicator::all_reduce_sum(std::vector<int64_t> values) {
  return reduce_control(std::move(values), false, "all_reduce_sum");
}

void Communicator::broadcast_bytes(std::string& bytes, int root) {
  check_root(root);
  const TracedCall call(trace_, "broadcast_bytes");
  do_broadcast_bytes(bytes, root);
  const auto length = static_cast<int64_t>(bytes.size());
  count(length, length * (size() - 1) / size());
}

}  // namespace hyperx::comm

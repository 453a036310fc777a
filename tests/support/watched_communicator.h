#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/errors.h"
#include "model/comm/communicator.h"

namespace hyperx::comm {

// A call as it comes to a communicator.
struct SeenCall {
  std::string kind;  // "all_reduce", "all_gather", ..., as CollectiveTrace names them
  int number = 0;    // of its kind, from 1
  int64_t input_elements = 0, output_elements = 0, element_bytes = 0;
  at::Tensor tensor;            // all_reduce, broadcast: what is sent, and may be changed; else undefined
  std::vector<int64_t> counts;  // all_gather: elements of each rank
};

// Shows each call to a hook, then passes it on to another communicator.
class WatchedCommunicator final : public Communicator {
 public:
  using Hook = std::function<void(const SeenCall&)>;

  // `inner` outlives it.
  WatchedCommunicator(Communicator& inner, Hook before)
      : Communicator(inner.info()), inner_(inner), before_(std::move(before)) {}
  const char* backend() const override { return inner_.backend(); }
  void request_abort() override { inner_.request_abort(); }

 protected:
  void do_broadcast(at::Tensor& tensor, int root) override {
    show("broadcast", tensor, tensor, tensor);
    inner_.broadcast(tensor, root);
  }
  void do_all_reduce(at::Tensor& tensor) override {
    show("all_reduce", tensor, tensor, tensor);
    inner_.all_reduce(tensor);
  }
  void do_all_gather(const at::Tensor& input, at::Tensor& output, const std::vector<int64_t>& counts) override {
    show("all_gather", input, output, {}, counts);
    inner_.all_gather_v(input, output, counts);
  }
  void do_reduce_scatter(const at::Tensor& input, at::Tensor& output) override {
    show("reduce_scatter", input, output);
    inner_.reduce_scatter(input, output);
  }
  void do_barrier() override {
    show("barrier", 0, 0, 1);
    inner_.barrier();
  }
  void do_synchronize() override { inner_.synchronize(); }
  void do_reduce_control(std::vector<int64_t>& values, bool maximum) override {
    show(maximum ? "all_reduce_max" : "all_reduce_sum", std::ssize(values), std::ssize(values), sizeof(int64_t));
    values = maximum ? inner_.all_reduce_max(std::move(values)) : inner_.all_reduce_sum(std::move(values));
  }
  void do_broadcast_bytes(std::string& bytes, int root) override {
    show("broadcast_bytes", std::ssize(bytes), std::ssize(bytes), 1);
    inner_.broadcast_bytes(bytes, root);
  }

 private:
  void show(const char* kind, int64_t input, int64_t output, int64_t element_bytes, const at::Tensor& tensor = {},
            const std::vector<int64_t>& counts = {}) {
    before_({kind, ++numbers_[kind], input, output, element_bytes, tensor, counts});
  }
  void show(const char* kind, const at::Tensor& input, const at::Tensor& output, const at::Tensor& tensor = {},
            const std::vector<int64_t>& counts = {}) {
    show(kind, input.numel(), output.numel(), static_cast<int64_t>(output.element_size()), tensor, counts);
  }

  Communicator& inner_;
  Hook before_;
  std::map<std::string, int> numbers_;
};

// The `number`-th call of its kind fails, as a library's would.
inline WatchedCommunicator::Hook fail_at(const std::string& kind, int number) {
  return [kind, number](const SeenCall& call) {
    if (call.kind == kind && call.number == number)
      throw SystemError(kind + " " + std::to_string(number) + " failed on purpose");
  };
}

}  // namespace hyperx::comm

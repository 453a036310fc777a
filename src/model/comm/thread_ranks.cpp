#include "model/comm/thread_ranks.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "common/errors.h"
#include "model/comm/rank_order_sum.h"

namespace hyperx::comm {
namespace {

// Unique to this group, as a job's name is to one start of a program.
std::string new_job_name() {
  return "threads-" + std::to_string(std::chrono::system_clock::now().time_since_epoch().count());
}

std::string text_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& exception) {
    return exception.what();
  } catch (...) {
    return "an exception without a text";
  }
}

char* bytes_of(const at::Tensor& tensor) { return static_cast<char*>(tensor.data_ptr()); }

// memcpy, except when both are the same address.
void copy_bytes(void* to, const void* from, size_t bytes) {
  if (to != from && bytes > 0) std::memcpy(to, from, bytes);
}

}  // namespace

class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(ThreadRanks& ranks, RankInfo info) : Communicator(std::move(info)), ranks_(ranks) {}
  ~ThreadCommunicator() override { ranks_.fail(rank(), "ended"); }
  const char* backend() const override { return "threads"; }
  void request_abort() override { ranks_.fail(rank(), "gave up"); }

 protected:
  void do_broadcast(at::Tensor& tensor, int root) override {
    const auto inputs = meet("broadcast", tensor, tensor, root);
    copy_bytes(bytes_of(tensor), inputs[root], tensor.nbytes());
    ranks_.depart(rank(), "broadcast");
  }

  void do_all_reduce(at::Tensor& tensor) override {
    const auto inputs = meet("all_reduce", tensor, tensor);
    char* const sum = scratch(tensor.nbytes());
    sum_in_rank_order(tensor.scalar_type(), inputs, sum, tensor.numel());
    ranks_.depart(rank(), "all_reduce");
    copy_bytes(bytes_of(tensor), sum, tensor.nbytes());
  }

  void do_all_gather(const at::Tensor& input, at::Tensor& output, const std::vector<int64_t>& counts) override {
    const auto inputs = meet("all_gather", input, output);
    char* place = bytes_of(output);
    for (int from = 0; from < size(); ++from) {
      const size_t bytes = static_cast<size_t>(counts[from]) * output.element_size();
      copy_bytes(place, inputs[from], bytes);
      place += bytes;
    }
    ranks_.depart(rank(), "all_gather");
  }

  void do_reduce_scatter(const at::Tensor& input, at::Tensor& output) override {
    auto parts = meet("reduce_scatter", input, input);
    for (const void*& part : parts) part = static_cast<const char*>(part) + rank() * output.nbytes();
    char* const sum = scratch(output.nbytes());
    sum_in_rank_order(output.scalar_type(), parts, sum, output.numel());
    ranks_.depart(rank(), "reduce_scatter");
    copy_bytes(bytes_of(output), sum, output.nbytes());
  }

  void do_barrier() override {
    ranks_.meet(rank(), {"barrier"});
    ranks_.depart(rank(), "barrier");
  }

  void do_reduce_control(std::vector<int64_t>& values, bool maximum) override {
    const char* const name = maximum ? "all_reduce_max" : "all_reduce_sum";
    const auto inputs = ranks_.meet(rank(), {name, at::kLong, std::ssize(values), 0, values.data()});
    std::vector<int64_t> result(values);
    for (size_t i = 0; i < values.size(); ++i)
      for (int from = 0; from < size(); ++from) {
        const int64_t value = static_cast<const int64_t*>(inputs[from])[i];
        result[i] = from == 0 ? value : maximum ? std::max(result[i], value) : result[i] + value;
      }
    ranks_.depart(rank(), name);
    values = std::move(result);
  }

  void do_broadcast_bytes(std::string& bytes, int root) override {
    const auto inputs = ranks_.meet(rank(), {"broadcast_bytes", at::kByte, 0, root, &bytes});
    if (rank() != root) bytes = *static_cast<const std::string*>(inputs[root]);
    ranks_.depart(rank(), "broadcast_bytes");
  }

 private:
  std::vector<const void*> meet(const char* name, const at::Tensor& input, const at::Tensor& counted, int root = 0) {
    HYPERX_CHECK(counted.is_cpu(), "ranks that are threads exchange CPU tensors");
    return ranks_.meet(rank(), {name, counted.scalar_type(), counted.numel(), root, input.data_ptr()});
  }
  char* scratch(size_t bytes) {
    if (scratch_.size() < bytes) scratch_.resize(bytes);
    return scratch_.data();
  }

  ThreadRanks& ranks_;
  std::vector<char> scratch_;
};

ThreadRanks::ThreadRanks(int size) : size_(size), job_(new_job_name()), calls_(static_cast<size_t>(size)) {
  HYPERX_CHECK(size >= 1, "a group has at least one rank");
}

std::unique_ptr<Communicator> ThreadRanks::communicator(int rank) {
  const std::vector<std::string> hosts(static_cast<size_t>(size_), "localhost");
  return std::make_unique<ThreadCommunicator>(*this, RankInfo{rank, size_, rank, size_, hosts, job_});
}

void ThreadRanks::run(const std::function<void(Communicator&)>& body) {
  failure_.clear();
  arrived_ = 0;
  std::mutex mutex;
  std::exception_ptr first;
  const auto work = [&](int rank) {
    const std::unique_ptr<Communicator> own = communicator(rank);
    try {
      body(*own);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!first) first = std::current_exception();
      fail(rank, "failed: " + text_of(std::current_exception()));
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < size_; ++rank) threads.emplace_back(work, rank);
  }
  if (first) std::rethrow_exception(first);
}

std::vector<const void*> ThreadRanks::meet(int rank, const Call& call) {
  {
    const std::lock_guard lock(mutex_);
    calls_[static_cast<size_t>(rank)] = call;
  }
  wait_for_all(rank, call.name);
  check_calls_match();
  std::vector<const void*> inputs;
  for (const Call& each : calls_) inputs.push_back(each.input);
  return inputs;
}

void ThreadRanks::depart(int rank, const char* name) { wait_for_all(rank, name); }

void ThreadRanks::wait_for_all(int rank, const char* name) {
  std::unique_lock lock(mutex_);
  const int64_t meeting = meetings_;
  if (failure_.empty() && ++arrived_ == size_) {
    arrived_ = 0;
    ++meetings_;
    changed_.notify_all();
    return;
  }
  changed_.wait(lock, [&] { return meetings_ != meeting || !failure_.empty(); });
  if (meetings_ == meeting)
    throw SystemError("rank " + std::to_string(rank) + " waits in " + name + " in vain: " + failure_);
}

// Between meet and depart no rank changes calls_, so all ranks see the same and throw the same.
void ThreadRanks::check_calls_match() const {
  const auto text = [](const Call& call) {
    return std::string(call.name) + " of " + std::to_string(call.count) + " " + c10::toString(call.type) + ", root " +
           std::to_string(call.root);
  };
  for (size_t rank = 1; rank < calls_.size(); ++rank)
    if (text(calls_[rank]) != text(calls_[0]))
      throw SystemError("ranks make different calls: rank 0 " + text(calls_[0]) + "; rank " + std::to_string(rank) +
                        " " + text(calls_[rank]));
}

void ThreadRanks::fail(int rank, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (failure_.empty()) failure_ = "rank " + std::to_string(rank) + " " + reason;
  changed_.notify_all();
}

}  // namespace hyperx::comm

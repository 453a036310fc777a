#pragma once

#include <c10/core/ScalarType.h>

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "model/comm/communicator.h"

namespace hyperx::comm {

// Ranks that are threads of one process, so that multi-rank behaviour is tested in milliseconds. CPU tensors only.
//
// Sums are added in rank order like MpiCommunicator's, so the bits are the same. A rank that fails, or ends while
// others wait for it, wakes them: their calls throw SystemError instead of hanging. Mismatched calls throw it too.
class ThreadRanks {
 public:
  explicit ThreadRanks(int size);
  ThreadRanks(const ThreadRanks&) = delete;
  ThreadRanks& operator=(const ThreadRanks&) = delete;

  // Runs `body` on one thread per rank and returns when all have ended. Rethrows what the first failing rank threw.
  void run(const std::function<void(Communicator&)>& body);

  // One per rank; each is used by one thread, and the group must outlive them. Destroying one ends its rank.
  std::unique_ptr<Communicator> communicator(int rank);

 private:
  friend class ThreadCommunicator;

  // A rank's part in a collective.
  struct Call {
    const char* name = "";
    at::ScalarType type = at::kByte;
    int64_t count = 0;  // elements, the same on all ranks
    int root = 0;
    const void* input = nullptr;
  };

  // Waits until all ranks have made the same call; returns their inputs, which stay valid until depart().
  std::vector<const void*> meet(int rank, const Call& call);
  // Waits until no rank reads inputs any more.
  void depart(int rank, const char* name);
  void wait_for_all(int rank, const char* name);
  void check_calls_match() const;
  void fail(int rank, const std::string& reason);

  const int size_;
  const std::string job_;
  std::mutex mutex_;  // guards the members below
  std::condition_variable changed_;
  int arrived_ = 0;
  int64_t meetings_ = 0;  // completed ones
  std::string failure_;   // of the first rank that failed or ended; empty: none
  std::vector<Call> calls_;
};

}  // namespace hyperx::comm

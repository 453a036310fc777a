#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/watched_communicator.h"

namespace hyperx::comm {

// Counts, from the sizes of tensors alone, what a rank sends when the ranks form a ring: each message is cut into one
// piece per rank, and the pieces that leave this rank are added up, one after the other. A reference for
// Communicator::bytes_sent(), which has a formula.
class ByteCounter {
 public:
  ByteCounter(int rank, int ranks) : rank_(rank), ranks_(ranks) {}

  struct Message {
    std::string kind;
    int64_t bytes = 0;  // of the whole message: the larger of input and output
  };

  void count(const SeenCall& call) {
    const int64_t elements = std::max(call.input_elements, call.output_elements);
    messages_.push_back({call.kind, elements * call.element_bytes});
    const bool sums = call.kind == "all_reduce" || call.kind == "all_reduce_max" || call.kind == "all_reduce_sum";
    int64_t sent = 0;
    for (int hop = 0; hop < ranks_ - 1; ++hop) {
      // Pieces go round once to be added up, and once to be spread.
      if (sums || call.kind == "reduce_scatter") sent += piece(elements, rank_ - hop);
      if (sums) sent += piece(elements, rank_ + 1 - hop);
      if (call.kind == "all_gather") sent += call.counts[place(rank_ - hop)];
    }
    sent_ += sent * call.element_bytes;
  }

  int64_t sent() const { return sent_; }
  const std::vector<Message>& messages() const { return messages_; }

 private:
  size_t place(int index) const { return static_cast<size_t>((index + ranks_) % ranks_); }
  // Elements of piece `index` of a message in as equal pieces as there are ranks.
  int64_t piece(int64_t elements, int index) const {
    const auto at = static_cast<int64_t>(place(index));
    return elements * (at + 1) / ranks_ - elements * at / ranks_;
  }

  int rank_, ranks_;
  int64_t sent_ = 0;
  std::vector<Message> messages_;
};

}  // namespace hyperx::comm

#pragma once

#include <string>
#include <vector>

#include "trainer/estimate/step_work.h"

namespace hyperx::estimate {

// One message of a step between all ranks.
struct Message {
  enum class Kind { kAllReduce, kReduceScatter, kAllGather };
  Kind kind = Kind::kAllReduce;
  double bytes = 0;  // S: all_reduce, reduce_scatter: of the input; all_gather: of the output

  // What each of n ranks in a ring sends: 2 S (n-1)/n of an all-reduce, else S (n-1)/n. The Communicator counts the
  // same.
  double sent(int ranks) const;
};

// Messages of a step. Replicated generators: the bucket of the small tensors and losses, and what `kind` says of
// theta's gradient; sharded: the bucket, reduce-scatter of g, a small all-reduce of its products, all-gather of theta.
std::vector<Message> messages_of(const ModelSizes& model, const StepSizes& step, const Config& config,
                                 model::ExchangeKind kind);
model::ExchangeKind exchange_of(const ModelSizes& model, const Config& config, int ranks);

double bytes_sent(const std::vector<Message>& messages, int ranks);

}  // namespace hyperx::estimate

#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "data/batch/batch_maker.h"
#include "model/comm/communicator.h"
#include "model/parameters/parameters.h"
#include "trainer/optimizer/early_sums.h"

namespace hyperx::train {

// Makes the gradients of one step complete and equal on all ranks: sends the messages of all blocks, round by round.
// The messages are determined by the step's pairs, so all ranks send the same.
class GradientExchange {
 public:
  static constexpr int64_t kBucketBytes = int64_t{25} << 20;
  GradientExchange(comm::Communicator& communicator, model::ParameterSet& parameters,
                   int64_t bucket_bytes = kBucketBytes)
      : communicator_(communicator), parameters_(parameters), early_(communicator, parameters, bucket_bytes) {}

  // How the sentences of a step are divided: every pair over all ranks, or whole pairs.
  data::ShareMode share_mode() const;

  // Call it before this rank's last backward pass of the step: large sums may start while it runs.
  void watch_backward() { early_.watch(); }
  // `figures` [kFigures, pairs] fp64 on the model's device: this rank's on entry, the whole step's on return; they are
  // sent with the small gradients. `owners` [pairs]: the rank that holds each pair whole; empty where pairs are split.
  // On a GPU everything is only queued.
  void exchange(at::Tensor& figures, const std::vector<int>& owners);

 private:
  void send(const std::vector<model::Message>& messages, at::Tensor* figures);

  comm::Communicator& communicator_;
  model::ParameterSet& parameters_;
  EarlySums early_;
};

// How the gradients are exchanged, for people: "factors"; plain sums are named only if there is nothing else.
std::string exchange_names(const model::ParameterSet& parameters);

}  // namespace hyperx::train

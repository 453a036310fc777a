#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "data/batch/batch_maker.h"
#include "model/comm/communicator.h"
#include "model/parameters/parameters.h"

namespace hyperx::train {

// Makes the gradients of one step complete and equal on all ranks: sends the messages of all blocks, round by round.
// Which these are follows from the step's pairs, so that all ranks send the same.
class GradientExchange {
 public:
  GradientExchange(comm::Communicator& communicator, model::ParameterSet& parameters)
      : communicator_(communicator), parameters_(parameters) {}

  // How the sentences of a step are shared out: every pair over all ranks, or whole pairs.
  data::ShareMode share_mode() const;

  // `losses` [pairs] fp64 on the model's device: this rank's terms in, the whole step's out; they travel with the small
  // gradients. `owners` [pairs]: the rank that holds each pair whole; empty where pairs are split. On a GPU all of it
  // is only queued.
  void exchange(at::Tensor& losses, const std::vector<int>& owners);

 private:
  void send(const std::vector<model::Message>& messages, at::Tensor* losses);

  comm::Communicator& communicator_;
  model::ParameterSet& parameters_;
};

}  // namespace hyperx::train

#pragma once

#include <c10/core/Event.h>

#include <optional>
#include <vector>

#include "model/comm/communicator.h"
#include "model/model.h"
#include "trainer/optimizer/optimizer.h"

namespace hyperx::train {

// A step's figures and gradient norm, copied to the host asynchronously, so that a GPU works on the next step while
// they are read.
class StepFigures {
 public:
  struct Result {
    at::Tensor figures;  // [kFigures, draws] fp64 of the whole step, over all ranks; on the model's device
    UpdateReport update;
  };
  StepFigures(const Result& result, comm::Communicator& communicator);
  // All wait for the copy if it is not complete.
  std::vector<double> losses();  // [draws]
  // [draws] How much the last hidden states of a pair's labelled words differ: their root mean square distance from
  // their mean, as a share of their root mean square. 0: all are the same vector; nan: no word has a label.
  std::vector<double> spreads();
  double gradient_norm();

 private:
  const double* values();
  const double* row(int64_t figure) { return values() + figure * draws_; }

  comm::Communicator* communicator_;  // for waiting: the step may hang in one of its calls
  int64_t draws_;
  at::Tensor host_;  // [kFigures * draws + 1] fp64
  std::optional<c10::Event> copied_;
};

}  // namespace hyperx::train

#pragma once

#include <c10/core/Event.h>

#include <optional>
#include <vector>

#include "model/comm/communicator.h"
#include "trainer/optimizer/optimizer.h"

namespace hyperx::train {

// A step's losses and gradient norm, copied to the host asynchronously, so that a GPU works on the next step while they
// are read.
class StepFigures {
 public:
  struct Result {
    at::Tensor losses;  // [draws] fp64 of the whole step, over all ranks; on the model's device
    UpdateReport update;
  };
  StepFigures(const Result& result, comm::Communicator& communicator);
  // Both wait for the copy if it is not complete.
  std::vector<double> losses();  // [draws]
  double gradient_norm();

 private:
  const double* values();

  comm::Communicator* communicator_;  // for waiting: the step may hang in one of its calls
  at::Tensor host_;                   // [draws + 1] fp64
  std::optional<c10::Event> copied_;
};

}  // namespace hyperx::train

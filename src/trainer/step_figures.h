#pragma once

#include <c10/core/Event.h>

#include <optional>
#include <vector>

#include "model/comm/communicator.h"
#include "trainer/optimizer/optimizer.h"

namespace hyperx::train {

// A step's losses and norm on their way to the host: copied behind the step, so that a GPU works on the next one while
// they are read.
class StepFigures {
 public:
  struct Result {
    at::Tensor losses;  // [draws] fp64 of the whole step, over all ranks; on the model's device
    UpdateReport update;
  };
  StepFigures(const Result& result, comm::Communicator& communicator);
  // Wait for the copy, if it is still under way.
  std::vector<double> losses();  // [draws]
  double gradient_norm();

 private:
  const double* values();

  comm::Communicator* communicator_;  // what the step may hang on
  at::Tensor host_;                   // [draws + 1] fp64
  std::optional<c10::Event> copied_;
};

}  // namespace hyperx::train

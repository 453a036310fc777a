#pragma once

#include <string>

namespace hyperx::model {

struct ProbeOptions {
  int samples = 3;        // of the generated head, in training
  double penalty = 0.01;  // weight of the extra loss
  std::string needs;      // a run of the probe, whose scales come before its own; empty: none
};

}  // namespace hyperx::model

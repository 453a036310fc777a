#pragma once

#include <string>

namespace hyperx::model {

// Options "madx.*": Pfeiffer et al. 2020. Members are initialised with their defaults.
struct MadxOptions {
  std::string train = "language";  // language | task: the adapter that the run trains
  int language_adapter_dim = 256;
  int task_adapter_dim = 48;
  std::string invertible = "nice";  // nice | none
  std::string language_adapters;    // of a task's run: folders of the language runs, separated by commas
};

}  // namespace hyperx::model

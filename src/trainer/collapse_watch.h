#pragma once

#include <map>
#include <string>

namespace hyperx::train {

// Notices when adapters have collapsed: every word of a task ends in all but the same last hidden state, so that the
// loss stays at the entropy of the label frequencies (docs/design.md section 5, "A known trap").
class CollapseWatch {
 public:
  static constexpr double kLeastSpread = 0.05;  // StepFigures::spreads()
  static constexpr int kSteps = 10;             // of the task, one after another

  // Adds a step of the task; nan: no word had a label, which counts as no step. True when the last kSteps were all
  // below kLeastSpread, once until a step is not.
  bool add(const std::string& task, double spread);

 private:
  std::map<std::string, int> in_a_row_;
};

}  // namespace hyperx::train

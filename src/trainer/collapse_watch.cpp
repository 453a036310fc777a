#include "trainer/collapse_watch.h"

#include <cmath>

namespace hyperx::train {

bool CollapseWatch::add(const std::string& task, double spread) {
  if (std::isnan(spread)) return false;
  int& count = in_a_row_[task];
  count = spread < kLeastSpread ? count + 1 : 0;
  return count == kSteps;
}

}  // namespace hyperx::train

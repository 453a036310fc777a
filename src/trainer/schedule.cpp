#include "trainer/schedule.h"

#include <algorithm>

namespace hyperx::train {

double learning_rate(const TrainConfig& config, int64_t step, int64_t total_steps) {
  const double peak = config.learning_rate;
  if (step < config.warmup_steps) return peak * static_cast<double>(step) / static_cast<double>(config.warmup_steps);
  if (config.schedule == "constant") return peak;
  const int64_t decay_steps = std::max<int64_t>(1, total_steps - config.warmup_steps);
  const double left = static_cast<double>(std::max<int64_t>(0, total_steps - step)) / static_cast<double>(decay_steps);
  return config.final_learning_rate + (peak - config.final_learning_rate) * left;
}

}  // namespace hyperx::train

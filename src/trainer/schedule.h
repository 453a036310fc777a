#pragma once

#include <cstdint>

#include "common/config/config.h"

namespace hyperx::train {

// The learning rate of update `step`, counted from 0: linear from 0 to the peak over warmup_steps, then linear to
// final_learning_rate at `total_steps` (or constant). The first update of a warm-up thus has learning rate 0, as in the
// release.
double learning_rate(const TrainConfig& config, int64_t step, int64_t total_steps);

}  // namespace hyperx::train

#pragma once

#include <vector>

#include "trainer/estimate/step_work.h"

namespace hyperx::estimate {

// Messages of a step: the bucket of small sums and losses, and those that the method adds.
std::vector<model::MessageCost> messages_of(const ModelSizes& model, const StepSizes& step,
                                            const model::MethodCosts& costs);

double bytes_sent(const std::vector<model::MessageCost>& messages, int ranks);

}  // namespace hyperx::estimate

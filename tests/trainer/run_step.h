#pragma once

#include "trainer/optimizer/gradient_exchange.h"
#include "trainer/optimizer/optimizer.h"
#include "trainer/step_figures.h"
#include "trainer/training_step.h"

namespace hyperx::train {

// A whole step, as Trainer::run takes it.
inline StepFigures::Result run_step(TrainingStep& step, GradientExchange& exchange, Optimizer& optimizer,
                                    const data::StepBatch& batch, const std::vector<data::Pair>& pairs, double rate) {
  at::Tensor figures = step.forward_backward(batch, pairs, &exchange);
  exchange.exchange(figures, batch.owners);
  return {figures, optimizer.update(rate)};
}

}  // namespace hyperx::train

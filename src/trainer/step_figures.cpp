#include "trainer/step_figures.h"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cmath>

namespace hyperx::train {

StepFigures::StepFigures(const Result& result, comm::Communicator& communicator)
    : communicator_(&communicator), draws_(result.figures.size(1)) {
  const at::Tensor all = at::cat({result.figures.view({-1}), result.update.gradient_norm.reshape({1})});
  if (all.is_cpu()) {
    host_ = all;
    return;
  }
  host_ = at::empty(all.sizes(), at::TensorOptions().dtype(at::kDouble).pinned_memory(true));
  host_.copy_(all, true);
  const c10::impl::VirtualGuardImpl guard(all.device().type());
  copied_.emplace(all.device().type());
  copied_->record(guard.getStream(all.device()));
}

const double* StepFigures::values() {
  if (copied_) communicator_->wait_until([this] { return copied_->query(); });
  return host_.const_data_ptr<double>();
}

std::vector<double> StepFigures::losses() {
  const double* const found = row(model::kLoss);
  return {found, found + draws_};
}

std::vector<double> StepFigures::spreads() {
  const double *const deviations = row(model::kDeviations), *const squares = row(model::kSquares);
  std::vector<double> found;
  for (int64_t i = 0; i < draws_; ++i) found.push_back(std::sqrt(deviations[i] / squares[i]));
  return found;
}

double StepFigures::gradient_norm() { return row(model::kFigures)[0]; }

}  // namespace hyperx::train

#include "trainer/step_figures.h"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace hyperx::train {

StepFigures::StepFigures(const Result& result, comm::Communicator& communicator) : communicator_(&communicator) {
  const at::Tensor all = at::cat({result.losses, result.update.gradient_norm.reshape({1})});
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
  const double* const found = values();
  return {found, found + host_.numel() - 1};
}

double StepFigures::gradient_norm() { return values()[host_.numel() - 1]; }

}  // namespace hyperx::train

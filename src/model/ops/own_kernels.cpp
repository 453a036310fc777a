#include "model/ops/own_kernels.h"

#include <atomic>

#include "common/errors.h"

namespace hyperx::model {
namespace {

std::atomic<bool> chosen = false;  // read by every operation, also from autograd's threads

}  // namespace

void use_own_kernels(bool use) {
  HYPERX_CHECK(!use || kHasOwnKernels, "this build has no kernels of its own for a GPU");
  chosen = use;
}

bool own_kernels() { return chosen; }

bool own_kernels_take(const at::Tensor& x) {
  return own_kernels() && x.is_cuda() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

}  // namespace hyperx::model

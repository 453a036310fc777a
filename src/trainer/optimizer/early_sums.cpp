#include "trainer/optimizer/early_sums.h"

#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

namespace hyperx::train {

// Called by autograd after it has added to a leaf's gradient.
struct EarlySums::Hook final : torch::autograd::PostAccumulateGradHook {
  explicit Hook(EarlySums& sums) : sums_(sums) {}
  void operator()(const torch::autograd::Variable& leaf) override { sums_.complete(leaf); }

 private:
  EarlySums& sums_;
};

EarlySums::EarlySums(comm::Communicator& communicator, model::ParameterSet& parameters, int64_t bucket_bytes)
    : communicator_(communicator), parameters_(parameters), bucket_bytes_(bucket_bytes) {}

EarlySums::~EarlySums() {
  for (const auto& [place, leaf] : hooked_) torch::autograd::impl::set_post_acc_grad_hooks(leaf, nullptr);
}

void EarlySums::collect() {
  sums_.clear();
  next_ = 0;
  collected_ = true;
  sum_of_leaf_.clear();
  for (const auto& block : parameters_.blocks()) {
    if (!block->is_used()) continue;
    for (const model::GradientBucket& bucket : block->buckets(bucket_bytes_)) {
      for (const at::Tensor& leaf : bucket.leaves) {
        sum_of_leaf_[leaf.unsafeGetTensorImpl()] = sums_.size();
        if (!watching_ || !hooked_.emplace(leaf.unsafeGetTensorImpl(), leaf).second) continue;
        torch::autograd::impl::set_post_acc_grad_hooks(leaf, std::make_unique<Hook>(*this));
      }
      sums_.push_back({bucket.gradient, std::ssize(bucket.leaves)});
    }
  }
}

void EarlySums::watch() {
  if (communicator_.size() == 1 || !communicator_.sums_run_beside()) return;
  watching_ = true;
  collect();
}

void EarlySums::complete(const at::Tensor& leaf) {
  const auto sum = sum_of_leaf_.find(leaf.unsafeGetTensorImpl());
  if (!watching_ || sum == sum_of_leaf_.end()) return;
  --sums_[sum->second].incomplete;
  start_ready();
}

void EarlySums::start_ready() {
  for (; next_ < sums_.size() && sums_[next_].incomplete == 0; ++next_)
    communicator_.start_all_reduce(sums_[next_].gradient);
}

void EarlySums::start_rest() {
  watching_ = false;
  if (!collected_) collect();
  collected_ = false;
  for (Sum& sum : sums_) sum.incomplete = 0;
  start_ready();
}

}  // namespace hyperx::train

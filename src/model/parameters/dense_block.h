#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/ops/cuda/cuda_ops.h"
#include "model/parameters/adam_step.h"
#include "model/parameters/parameter_block.h"

namespace hyperx::model {

struct Parameter {
  std::string name;     // "heads.pos.weight"
  std::string group;    // parameters that get their gradients together: "layer_norms", "heads.pos", "source", ...
  at::Tensor value;     // fp32 master (fp64 in tests), an autograd leaf
  at::Tensor gradient;  // view into its block's flat gradient, equal to value.grad()
  bool decays = true;   // weight decay; as usual for BERT, none for biases and LayerNorms
  bool used = false;    // takes part in this step, on any rank
};

// The parameters of one group. Values and gradients are each stored end to end in one flat tensor; the parameters
// become views.
//
// Adam as the release applies it (docs/method.md section 4): every parameter has its own update count. A parameter that
// never had a gradient is skipped; one that had a gradient before is updated with zero.
class DenseBlock final : public ParameterBlock {
 public:
  // `exchanged`: whether ranks sum its gradient; otherwise each rank derives all of it from other gradients. The
  // parameters must outlive the block.
  DenseBlock(std::string name, std::vector<Parameter*> parameters, bool exchanged);

  const std::vector<Parameter*>& parameters() const { return parameters_; }
  const at::Tensor& values() const { return values_; }      // [elements]
  const at::Tensor& gradient() const { return gradient_; }  // [elements]

  int64_t element_count() const override { return values_.numel(); }
  void begin_step() override;
  bool is_used() const override;
  std::vector<GradientBucket> buckets(int64_t bytes) const override;
  std::vector<Message> messages(int round, const StepRanks& ranks) override;
  at::Tensor norm_squared() const override { return sum_of_squares(gradient_); }
  void begin_training(const UpdateOptions& options) override;
  void update(const AdamStep& step) override;
  std::vector<std::pair<std::string, int64_t>> update_counts() const override;
  bool set_update_count(const std::string& name, int64_t count) override;
  NamedTensors state(StatePart part, comm::Communicator& ranks) override;
  NamedTensors loadable(StatePart part) override;

 private:
  at::Tensor part_of(const at::Tensor& flat, size_t index) const;  // parameter `index`'s range of a flat tensor
  void update_each(const StepFactors& factors, const AdamStep& step);
  void update_all(const StepFactors& factors, const AdamStep& step);

  std::vector<Parameter*> parameters_;
  std::vector<int64_t> offsets_;  // [parameters]
  bool exchanged_;
  at::Tensor values_, gradient_;
  at::Tensor m_, v_;     // [elements]; undefined before begin_training
  at::Tensor counts_;    // [parameters] int64; 0: no gradient yet
  at::Tensor active_;    // [parameters] bool: whether this update includes them; for our own kernel
  CudaAdamTable table_;  // everything that our own kernel reads
  at::Tensor owners_;    // [elements] int32: index of the parameter that an element belongs to; not if fused
  at::Tensor decays_;    // [elements] bool: of parameters that decay; not if fused, only with weight decay
};

}  // namespace hyperx::model

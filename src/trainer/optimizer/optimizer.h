#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/model.h"
#include "model/ops/cuda/cuda_ops.h"
#include "model/ops/generator.h"

namespace hyperx::train {

// The generators' gradient of one step. Complete and equal on every rank but for `factors`, which hold the columns of
// this rank's rows of W.
struct GeneratorGradient {
  at::Tensor source_gradient;                         // ds [rows, projected] fp64, from W before its update
  at::Tensor norm_squared;                            // of dW and dc; 0-dim fp64
  at::Tensor factors;                                 // g [pairs, layers, own rows]
  std::vector<model::Hypernetwork::Generator> dense;  // dW, dc a group; empty: by the factors and sources()
};

struct OptimizerOptions {
  // The update as it is queued on a GPU, without waiting for the norm; by default only there.
  std::optional<bool> queued;
  double clip_norm = 1.0;  // 0: off
  model::AdamOptions adam;
};

struct UpdateReport {
  // Of all trained tensors, before the clip; where it is not finite, nothing was changed. 0-dim fp64 on the model's
  // device: on a GPU, reading it at once is to wait for the step.
  at::Tensor gradient_norm;
};

// Adam as the release applies it (SPEC.md section 1, DESIGN.md section 7.7): every tensor has its own update count; one
// that had no gradient yet is skipped, one that had one before is stepped with zero. One clip factor min(1, clip /
// (norm + 1e-6)) for all.
class Optimizer {
 public:
  Optimizer(model::Model& model, const OptimizerOptions& options);

  // The gradient by g [pairs, layers, own rows], as far as this rank's rows of W tell: ds and the norm are sums over
  // rows, so those of all ranks add up.
  GeneratorGradient factored_gradient(const at::Tensor& g) const;
  // The same as dense matrices, whose norm is taken in update(): the oracle, and what `parallel.exchange=dense` sends.
  // Of this rank's share of the batch alone.
  GeneratorGradient dense_gradient() const;

  // One update, only queued on a GPU. `generator` is ignored where the method generates nothing.
  UpdateReport update(const GeneratorGradient& generator, double rate);

  // Moments of the dense parameters by name ("m/heads.pos.weight"), for checkpoints; views of the live tensors.
  std::vector<model::Hypernetwork::NamedView> named_moments() const;
  // Those of W and c, laid out as Hypernetwork::generators() are.
  using Generators = std::vector<model::Hypernetwork::Generator>;
  Generators& generator_moments(bool second) { return second ? generator_v_ : generator_m_; }
  // Update counts by parameter name, and "hypernetwork" for W and c. Waits for the device.
  std::vector<std::pair<std::string, int64_t>> counts() const;
  void set_count(const std::string& name, int64_t count);

 private:
  // A group of parameters, end to end.
  struct State {
    std::vector<model::Parameter*> parameters;
    at::Tensor values, gradient, m, v;  // [elements]
    at::Tensor counts;                  // [parameters] int64; 0: had no gradient yet
    at::Tensor active;                  // [parameters] bool, whether this update takes them; for our own kernel
    model::CudaAdamTable table;         // the same of all that it reads
    at::Tensor owners;                  // [elements] int32, which parameter an element is of; where queued
  };
  bool is_queued() const { return options_.queued.value_or(!model_.options().device.is_cpu()); }
  at::Tensor norm_squared(const GeneratorGradient& generator) const;
  void update_now(const GeneratorGradient& generator, double rate, double norm);
  static std::vector<model::AdamTensors> tensors_of(const State& state);
  void queue_update(const GeneratorGradient& generator, double rate, const at::Tensor& norm);

  model::Model& model_;
  OptimizerOptions options_;
  std::vector<State> states_;  // a group each
  std::vector<model::Hypernetwork::Generator> generator_m_, generator_v_;
  at::Tensor generator_count_;  // [1] int64
};

}  // namespace hyperx::train

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "model/model.h"
#include "model/ops/generator.h"

namespace hyperx::train {

// The generators' gradient of one step. Complete and equal on every rank but for `factors`, which hold the columns of
// this rank's rows of W.
struct GeneratorGradient {
  at::Tensor source_gradient;                         // ds [rows, projected] fp64, from W before its update
  double norm_squared = 0;                            // of dW and dc
  at::Tensor factors;                                 // g [pairs, layers, own rows]
  std::vector<model::Hypernetwork::Generator> dense;  // dW, dc a group; empty: by the factors and sources()
};

struct OptimizerOptions {
  double clip_norm = 1.0;  // 0: off
  model::AdamOptions adam;
};

struct UpdateReport {
  double gradient_norm = 0;  // of all trained tensors, before the clip
  bool finite = true;        // false: nothing was changed
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

  // One update. `generator` is ignored where the method generates nothing.
  UpdateReport update(const GeneratorGradient& generator, double rate);

  // Moments of the dense parameters by name ("m/heads.pos.weight"), for checkpoints; views of the live tensors.
  std::vector<model::Hypernetwork::NamedView> named_moments() const;
  // Those of W and c, laid out as Hypernetwork::generators() are.
  using Generators = std::vector<model::Hypernetwork::Generator>;
  Generators& generator_moments(bool second) { return second ? generator_v_ : generator_m_; }
  // Update counts by parameter name, and "hypernetwork" for W and c.
  std::vector<std::pair<std::string, int64_t>> counts() const;
  void set_count(const std::string& name, int64_t count);

 private:
  struct State {
    at::Tensor m, v;
    int64_t count = 0;  // 0: had no gradient yet
  };
  double norm_squared(const GeneratorGradient& generator) const;
  void update_generators(const GeneratorGradient& generator, double rate, double scale);

  model::Model& model_;
  OptimizerOptions options_;
  std::vector<State> states_;  // as model.parameters().all()
  std::vector<model::Hypernetwork::Generator> generator_m_, generator_v_;
  int64_t generator_count_ = 0;
};

}  // namespace hyperx::train

#pragma once

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "data/tasks/pair.h"

namespace hyperx::model {

// What tells one method from another (DESIGN.md section 6): what it does inside the encoder for a pair. Nothing outside
// methods/ asks which method runs.
class Method {
 public:
  enum class Position { kFeedForwardOutput, kAfterLayer };
  virtual ~Method() = default;

  // The pairs of one step or one evaluation batch; `training` says whether gradients will be asked for.
  virtual void begin_step(const std::vector<data::Pair>& pairs, bool training) = 0;
  // What the adapter of `layer` adds to z for the k-th pair of begin_step: change + bias. z [rows of the pair, hidden]
  struct AdapterOutput {
    at::Tensor change;  // as z
    at::Tensor bias;    // [hidden]; undefined: none
  };
  virtual AdapterOutput adapter(int64_t layer, int64_t pair, const at::Tensor& z) = 0;
  virtual bool has_adapter() const = 0;
  virtual Position adapter_position() const = 0;
};

// Plain BERT: no adapter.
class NoAdapter final : public Method {
 public:
  void begin_step(const std::vector<data::Pair>&, bool) override {}
  AdapterOutput adapter(int64_t, int64_t, const at::Tensor& z) override { return {at::zeros_like(z), {}}; }
  bool has_adapter() const override { return false; }
  Position adapter_position() const override { return Position::kFeedForwardOutput; }
};

}  // namespace hyperx::model

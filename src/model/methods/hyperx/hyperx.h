#pragma once

#include <memory>

#include "common/config/config.h"
#include "model/methods/hyperx/hypernetwork.h"
#include "model/methods/method.h"
#include "model/parameters/parameters.h"

namespace hyperx::model {

// Hyper-X: every layer's adapter is generated from task, language and layer (SPEC.md eq. 1):
// A(z) = [norm_after](U · relu(D · [norm_before](z))) + z.
class HyperX final : public Method {
 public:
  HyperX(const ModelConfig& config, int64_t hidden, int64_t layers, const std::vector<std::string>& tasks,
         const std::vector<std::string>& languages, uint64_t seed, at::ScalarType master, at::ScalarType compute,
         at::Device device, GeneratorShard shard, ParameterSet& parameters);

  void begin_step(const std::vector<data::Pair>& pairs, bool training) override;
  AdapterOutput adapter(int64_t layer, int64_t pair, const at::Tensor& z) override;
  bool has_adapter() const override { return true; }
  Position adapter_position() const override { return position_; }

  Hypernetwork& hypernetwork() { return hypernetwork_; }
  const Hypernetwork& hypernetwork() const { return hypernetwork_; }
  // Of the step begun last: projected sources [rows, projected] with their graph, theta and its gradient [pairs,
  // layers, theta].
  const at::Tensor& sources() const { return sources_; }
  const at::Tensor& theta() const { return made_->values; }
  at::Tensor& theta_gradient() { return made_->gradient; }

 private:
  struct PlainNorm {
    at::Tensor weight, bias;
  };
  // theta of so many pairs. Kept for each number of pairs that was met, at the same place: a CUDA graph reads it there.
  struct Theta {
    at::Tensor values, gradient;  // [pairs, layers, theta]
    // [pair * layers + layer][part]: views of the values, gradients bound to views of the gradient
    std::vector<std::vector<at::Tensor>> leaves;
  };
  Theta make_theta(int64_t pairs) const;
  at::Tensor norm(const at::Tensor& z, const std::string& setting, const char* name, int64_t layer,
                  const std::vector<at::Tensor>& leaves) const;

  ModelConfig config_;
  Position position_;
  at::ScalarType compute_;
  Hypernetwork hypernetwork_;
  std::vector<PlainNorm> plain_before_, plain_after_;  // one, or one a layer; empty unless plain
  at::Tensor sources_;
  std::map<int64_t, Theta> thetas_;  // by number of pairs
  Theta* made_ = nullptr;            // of the step begun last
};

}  // namespace hyperx::model

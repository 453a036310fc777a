#pragma once

#include <memory>

#include "model/methods/hyperx/hypernetwork.h"
#include "model/methods/hyperx/hypernetwork_block.h"
#include "model/methods/hyperx/hyperx_options.h"
#include "model/methods/method.h"
#include "model/parameters/parameters.h"

namespace hyperx::model {

// Hyper-X: every layer's adapter is generated from task, language and layer (docs/method.md eq. 1):
// A(z) = [norm_after](U · relu(D · [norm_before](z))) + z.
class HyperX final : public Method {
 public:
  explicit HyperX(const MethodContext& context);

  void select(const std::vector<data::Pair>& pairs, bool training, int64_t step) override;
  bool select_is_collective() const override { return hypernetwork_.is_sharded(); }
  void reserve(const std::vector<data::Pair>& pairs) override;
  at::Tensor end_layer(int64_t layer, const LayerEnd& end) override;

  Hypernetwork& hypernetwork() { return hypernetwork_; }
  const Hypernetwork& hypernetwork() const { return hypernetwork_; }
  HypernetworkBlock& block() { return *block_; }
  // For the pairs selected last: projected sources [rows, projected] with their autograd graph; theta and its gradient,
  // [pairs, layers, theta].
  const at::Tensor& sources() const { return sources_; }
  const at::Tensor& theta() const { return made_->values; }
  at::Tensor& theta_gradient() { return made_->gradient; }

 private:
  struct PlainNorm {
    at::Tensor weight, bias;
  };
  // theta of a number of pairs. Kept at the same address for each number that occurred: a CUDA graph reads it there.
  struct Theta {
    at::Tensor values, gradient;  // [pairs, layers, theta]
    // [pair * layers + layer][part]: views of the values, whose gradients are views of `gradient`
    std::vector<std::vector<at::Tensor>> leaves;
  };
  // What an adapter adds to z: change + bias.
  struct AdapterOutput {
    at::Tensor change;  // [rows, hidden]
    at::Tensor bias;    // [hidden]; undefined: none
  };
  Theta make_theta(int64_t pairs) const;
  Theta& theta_of(int64_t pairs);
  // z [rows of the pair, hidden]
  AdapterOutput adapter(int64_t layer, int64_t pair, const at::Tensor& z) const;
  at::Tensor norm(const at::Tensor& z, const std::string& setting, const char* name, int64_t layer,
                  const std::vector<at::Tensor>& leaves) const;

  HyperXOptions options_;
  bool after_layer_;  // the adapter works on the layer's output, not on that of its feed-forward part
  at::ScalarType compute_;
  ParameterSet& parameters_;
  Hypernetwork hypernetwork_;
  HypernetworkBlock* block_;                           // owned by parameters_
  std::vector<PlainNorm> plain_before_, plain_after_;  // one, or one per layer; empty unless plain
  at::Tensor sources_;
  std::map<int64_t, Theta> thetas_;  // by number of pairs
  Theta* made_ = nullptr;            // of the pairs selected last
};

}  // namespace hyperx::model

#include "model/methods/hyperx/hyperx.h"

#include <torch/torch.h>

#include "common/errors.h"
#include "model/encoder/encoder.h"
#include "model/ops/cpu/activation.h"

namespace hyperx::model {
namespace {

constexpr double kAdapterNormEpsilon = 1e-5;  // the release's, not the encoder's

}  // namespace

HyperX::HyperX(const ModelConfig& config, int64_t hidden, int64_t layers, const std::vector<std::string>& tasks,
               const std::vector<std::string>& languages, uint64_t seed, at::ScalarType master, at::ScalarType compute,
               at::Device device, GeneratorShard shard, ParameterSet& parameters)
    : config_(config),
      position_(config.adapter_position == "after-layer" ? Position::kAfterLayer : Position::kFeedForwardOutput),
      compute_(compute),
      hypernetwork_(config, hidden, layers, tasks, languages, seed, master, device, std::move(shard), parameters) {
  const at::TensorOptions options = at::TensorOptions().dtype(master).device(device);
  const bool shared = hypernetwork_.has_layer_embedding();
  const auto add_plain = [&](const std::string& setting, const std::string& name, std::vector<PlainNorm>& into) {
    if (setting != "plain") return;
    for (int64_t i = 0; i < (shared ? 1 : layers); ++i) {
      const std::string prefix = "hypernetwork." + (shared ? "" : std::to_string(i) + ".") + name;
      into.push_back({parameters.add(prefix + ".weight", "adapter_norms", torch::ones({hidden}, options)).value,
                      parameters.add(prefix + ".bias", "adapter_norms", torch::zeros({hidden}, options)).value});
    }
  };
  add_plain(config.adapter_norm_before, "norm_before", plain_before_);
  add_plain(config.adapter_norm_after, "norm_after", plain_after_);
}

HyperX::Theta HyperX::make_theta(int64_t pairs) const {
  Theta theta;
  theta.values = torch::empty({pairs, hypernetwork_.layers(), hypernetwork_.theta_size()},
                              sources_.options().requires_grad(false));
  theta.gradient = torch::zeros_like(theta.values);
  for (int64_t row = 0; row < pairs * hypernetwork_.layers(); ++row) {
    const at::Tensor values = theta.values.view({-1, hypernetwork_.theta_size()})[row];
    const at::Tensor gradient = theta.gradient.view({-1, hypernetwork_.theta_size()})[row];
    std::vector<at::Tensor> parts;
    for (const ThetaPart& part : hypernetwork_.parts()) {
      // A leaf of its own a tensor, with its gradient bound beforehand: slices of one leaf would each allocate all of
      // it.
      at::Tensor leaf = values.narrow(0, part.begin, part.size()).view(part.shape).detach().set_requires_grad(true);
      leaf.mutable_grad() = gradient.narrow(0, part.begin, part.size()).view(part.shape);
      parts.push_back(std::move(leaf));
    }
    theta.leaves.push_back(std::move(parts));
  }
  return theta;
}

void HyperX::begin_step(const std::vector<data::Pair>& pairs, bool training) {
  const int64_t count = std::ssize(pairs);
  at::AutoGradMode mode(training);
  sources_ = hypernetwork_.sources(pairs);
  at::NoGradGuard no_gradient;
  auto found = thetas_.find(count);
  if (found == thetas_.end()) found = thetas_.emplace(count, make_theta(count)).first;
  made_ = &found->second;
  hypernetwork_.generate(sources_.detach(), made_->values);
  if (training) made_->gradient.zero_();
}

at::Tensor HyperX::norm(const at::Tensor& z, const std::string& setting, const char* name, int64_t layer,
                        const std::vector<at::Tensor>& leaves) const {
  if (setting == "none") return z;
  if (setting == "plain") {
    const std::vector<PlainNorm>& norms = std::string(name) == "norm_before" ? plain_before_ : plain_after_;
    const PlainNorm& parameters = norms[norms.size() == 1 ? 0 : static_cast<size_t>(layer)];
    return layer_norm(z, parameters.weight, parameters.bias, kAdapterNormEpsilon);
  }
  const auto& parts = hypernetwork_.parts();
  for (size_t i = 0; i < parts.size(); ++i)
    if (parts[i].name == std::string(name) + "_weight")
      return layer_norm(z, leaves[i], leaves[i + 1], kAdapterNormEpsilon);
  HYPERX_CHECK(false, "a conditional norm without generated parameters");
}

Method::AdapterOutput HyperX::adapter(int64_t layer, int64_t pair, const at::Tensor& z) {
  const std::vector<at::Tensor>& leaves = made_->leaves.at(static_cast<size_t>(pair * hypernetwork_.layers() + layer));
  const at::Tensor before = norm(z, config_.adapter_norm_before, "norm_before", layer, leaves);
  const at::Tensor down = torch::linear(before, leaves[0].to(compute_));
  const Activation activation = config_.adapter_activation == "gelu" ? Activation::kGelu : Activation::kRelu;
  const at::Tensor up =
      torch::linear(biased_activation(down, leaves[1].to(compute_), activation), leaves[2].to(compute_));
  const at::Tensor bias = leaves[3].to(compute_);
  if (config_.adapter_norm_after == "none") return {up, bias};
  return {norm(up + bias, config_.adapter_norm_after, "norm_after", layer, leaves), {}};
}

}  // namespace hyperx::model

#include "model/methods/hyperx/hyperx.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <ATen/record_function.h>

#include "common/errors.h"
#include "model/encoder/encoder.h"
#include "model/methods/by_pair.h"
#include "model/ops/cpu/activation.h"

namespace hyperx::model {
namespace {

const char* const kAdapterNorms = "adapter_norms";
constexpr double kAdapterNormEpsilon = 1e-5;  // the release's, not the encoder's

// This rank's share of the generators' rows under parallel.generator; theta is assembled by an all-gather.
GeneratorShard shard_of(const MethodContext& context) {
  if (context.config.parallel.generator != "sharded" || context.ranks == nullptr || context.ranks->size() == 1)
    return {};
  comm::Communicator& ranks = *context.ranks;
  return {ranks.rank(), ranks.size(), [&ranks](const at::Tensor& own) {
            RECORD_USER_SCOPE("hyperx::exchange");
            at::Tensor all = at::empty({ranks.size(), own.size(0), own.size(1)}, own.options());
            ranks.all_gather(own, all);
            return all;
          }};
}

ExchangeKind exchange_kind(const MethodContext& context, const Hypernetwork& hypernetwork) {
  const ExchangeSizes sizes{context.config.train.pairs_per_step, hypernetwork.layers(), hypernetwork.theta_size(),
                            hypernetwork.projected_size(), static_cast<int64_t>(hypernetwork.generators().size())};
  return choose_exchange(context.config.parallel, sizes, context.ranks == nullptr ? 1 : context.ranks->size());
}

}  // namespace

HyperX::HyperX(const MethodContext& context)
    : options_(context.config.sections.get<HyperXOptions>()),
      after_layer_(options_.adapter_position == "after-layer"),
      compute_(context.compute),
      parameters_(context.parameters),
      hypernetwork_(options_, context, shard_of(context)) {
  auto block = std::make_unique<HypernetworkBlock>(*this, hypernetwork_, exchange_kind(context, hypernetwork_),
                                                   options_.generator_rate);
  block_ = block.get();
  parameters_.add_block(std::move(block));
  const int64_t hidden = context.spec.hidden, layers = context.spec.layers;
  const at::TensorOptions options = at::TensorOptions().dtype(context.master).device(context.device);
  const bool shared = hypernetwork_.has_layer_embedding();
  const auto add_plain = [&](const std::string& setting, const std::string& name, std::vector<PlainNorm>& into) {
    if (setting != "plain") return;
    for (int64_t i = 0; i < (shared ? 1 : layers); ++i) {
      const std::string prefix = "hypernetwork." + (shared ? "" : std::to_string(i) + ".") + name;
      into.push_back({parameters_.add(prefix + ".weight", kAdapterNorms, at::ones({hidden}, options)).value,
                      parameters_.add(prefix + ".bias", kAdapterNorms, at::zeros({hidden}, options)).value});
    }
  };
  add_plain(options_.adapter_norm_before, "norm_before", plain_before_);
  add_plain(options_.adapter_norm_after, "norm_after", plain_after_);
}

HyperX::Theta HyperX::make_theta(int64_t pairs) const {
  Theta theta;
  theta.values = at::empty({pairs, hypernetwork_.layers(), hypernetwork_.theta_size()},
                           hypernetwork_.generators()[0].bias.options().requires_grad(false));
  theta.gradient = at::zeros_like(theta.values);
  for (int64_t row = 0; row < pairs * hypernetwork_.layers(); ++row) {
    const at::Tensor values = theta.values.view({-1, hypernetwork_.theta_size()})[row];
    const at::Tensor gradient = theta.gradient.view({-1, hypernetwork_.theta_size()})[row];
    std::vector<at::Tensor> parts;
    for (const ThetaPart& part : hypernetwork_.parts()) {
      // One leaf per tensor, with its gradient bound beforehand: slices of a single leaf would each allocate its whole
      // gradient.
      at::Tensor leaf = values.narrow(0, part.begin, part.size()).view(part.shape).detach().set_requires_grad(true);
      leaf.mutable_grad() = gradient.narrow(0, part.begin, part.size()).view(part.shape);
      parts.push_back(std::move(leaf));
    }
    theta.leaves.push_back(std::move(parts));
  }
  return theta;
}

HyperX::Theta& HyperX::theta_of(int64_t pairs) {
  auto found = thetas_.find(pairs);
  if (found == thetas_.end()) found = thetas_.emplace(pairs, make_theta(pairs)).first;
  return found->second;
}

void HyperX::reserve(const std::vector<data::Pair>& pairs) {
  sources_ = hypernetwork_.sources(pairs);
  const at::NoGradGuard no_gradient;
  hypernetwork_.reserve(theta_of(std::ssize(pairs)).values);
}

void HyperX::select(const std::vector<data::Pair>& pairs, bool training, int64_t) {
  if (training) {
    hypernetwork_.mark_used(pairs, parameters_);
    parameters_.use_group(kAdapterNorms);
  }
  const int64_t count = std::ssize(pairs);
  at::AutoGradMode mode(training);
  sources_ = hypernetwork_.sources(pairs);
  at::NoGradGuard no_gradient;
  made_ = &theta_of(count);
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

HyperX::AdapterOutput HyperX::adapter(int64_t layer, int64_t pair, const at::Tensor& z) const {
  const std::vector<at::Tensor>& leaves = made_->leaves.at(static_cast<size_t>(pair * hypernetwork_.layers() + layer));
  const at::Tensor before = norm(z, options_.adapter_norm_before, "norm_before", layer, leaves);
  const at::Tensor down = at::linear(before, leaves[0].to(compute_));
  const Activation activation = options_.adapter_activation == "gelu" ? Activation::kGelu : Activation::kRelu;
  const at::Tensor up = at::linear(biased_activation(down, leaves[1].to(compute_), activation), leaves[2].to(compute_));
  const at::Tensor bias = leaves[3].to(compute_);
  if (options_.adapter_norm_after == "none") return {up, bias};
  return {norm(up + bias, options_.adapter_norm_after, "norm_after", layer, leaves), {}};
}

at::Tensor HyperX::end_layer(int64_t layer, const LayerEnd& end) {
  if (after_layer_)
    return by_pair(plain_end(end), end.pairs, [&](const at::Tensor& z, int64_t pair, const auto&) {
      const AdapterOutput adapted = adapter(layer, pair, z);
      return (adapted.bias.defined() ? adapted.change + adapted.bias : adapted.change) + z;
    });
  const at::Tensor z = end.dropout.probability > 0
                           ? keyed_dropout(end.down.product(end.inner), end.down.bias(), end.dropout)
                           : end.down(end.inner);
  return by_pair(z, end.pairs, [&](const at::Tensor& own, int64_t pair, const auto& rows_of) {
    const AdapterOutput adapted = adapter(layer, pair, own);
    return residual_norm(adapted.change, adapted.bias, {}, own, rows_of(end.residual), end.norm);
  });
}

std::unique_ptr<Method> make_hyperx(const MethodContext& context) { return std::make_unique<HyperX>(context); }

}  // namespace hyperx::model

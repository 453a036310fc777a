#include "model/methods/hyperx/hypernetwork_block.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <ATen/record_function.h>

#include <algorithm>

#include "common/errors.h"
#include "model/methods/hyperx/generator.h"
#include "model/methods/hyperx/hyperx.h"

namespace hyperx::model {
namespace {

const char* const kCountName = "hypernetwork";
constexpr int64_t kRowsAtOnce = 1 << 14;  // rows in one message when rows are gathered

std::vector<Hypernetwork::Generator> zeros_like(const std::vector<Hypernetwork::Generator>& generators) {
  std::vector<Hypernetwork::Generator> zeros;
  for (const auto& [weight, bias] : generators) zeros.push_back({at::zeros_like(weight), at::zeros_like(bias)});
  return zeros;
}

// Gathers the rows of all ranks into `into` [theta, width], in blocks; undefined: this rank only sends.
void gather_rows(const Hypernetwork& hypernetwork, comm::Communicator& ranks, const at::Tensor& own,
                 const at::Tensor& into) {
  const int64_t share = hypernetwork.share();
  for (int64_t begin = 0; begin < share; begin += kRowsAtOnce) {
    const int64_t count = std::min(kRowsAtOnce, share - begin);
    const auto held_by = [&](int64_t rank) {
      return std::clamp<int64_t>(hypernetwork.row_count(rank) - begin, 0, count);
    };
    const int64_t held = held_by(ranks.rank());
    at::Tensor message = at::zeros({count, own.size(1)}, own.options());
    if (held > 0) message.narrow(0, 0, held).copy_(own.narrow(0, begin, held));
    at::Tensor gathered = at::empty({ranks.size(), count, own.size(1)}, own.options());
    ranks.all_gather(message, gathered);
    for (int64_t rank = 0; into.defined() && rank < ranks.size(); ++rank) {
      const int64_t rows = held_by(rank);
      if (rows > 0) into.narrow(0, rank * share + begin, rows).copy_(gathered[rank].narrow(0, 0, rows));
    }
  }
}

}  // namespace

HypernetworkBlock::HypernetworkBlock(HyperX& method, Hypernetwork& hypernetwork, ExchangeKind kind, double rate_share)
    : ParameterBlock("hypernetwork"),
      method_(method),
      hypernetwork_(hypernetwork),
      kind_(kind),
      rate_share_(rate_share) {}

GeneratorGradient HypernetworkBlock::factored_gradient(const at::Tensor& g) const {
  GeneratorGradient gradient;
  gradient.factors = g;
  const at::Tensor s = method_.sources().detach();
  for (size_t group = 0; group < hypernetwork_.generators().size(); ++group) {
    const FactorSums sums =
        factor_sums(hypernetwork_.generators()[group].weight, hypernetwork_.rows_of_group(g, group));
    const at::Tensor norm_squared = factored_norm_squared(sums.gram, s);
    gradient.norm_squared = group == 0 ? norm_squared : gradient.norm_squared + norm_squared;
    gradient.source_gradient = group == 0 ? sums.source_gradient : gradient.source_gradient + sums.source_gradient;
  }
  return gradient;
}

GeneratorGradient HypernetworkBlock::dense_gradient() const {
  const at::Tensor& all = method_.theta_gradient();
  GeneratorGradient gradient = factored_gradient(all);
  const at::Tensor s = method_.sources().detach();
  for (size_t group = 0; group < hypernetwork_.generators().size(); ++group) {
    const at::Tensor g = hypernetwork_.rows_of_group(all, group);
    gradient.dense.push_back({at::mm(g.t(), s), g.sum(0)});
  }
  return gradient;
}

std::vector<Message> HypernetworkBlock::messages(int round, const StepRanks& ranks) {
  if (round == 1) {
    const at::Tensor& ds = gradient_.source_gradient;
    received_ = at::cat({ds.reshape({-1}), gradient_.norm_squared.reshape({1})});
    return {{Message::Kind::kSum, received_}};
  }
  if (round > 1) return {};
  received_ = method_.theta_gradient();
  gather_order_.reset();
  if (kind_ == ExchangeKind::kDense) return dense_messages();
  if (ranks.size == 1) return {};
  if (hypernetwork_.is_sharded()) return {scatter_message(ranks)};
  if (kind_ == ExchangeKind::kGather) return {gather_message(ranks)};
  return {{Message::Kind::kSum, received_}};
}

std::vector<Message> HypernetworkBlock::dense_messages() {
  RECORD_USER_SCOPE("hyperx::generator");
  gradient_ = dense_gradient();
  std::vector<Message> messages = {{Message::Kind::kSum, gradient_.source_gradient}};
  for (const auto& [weight, bias] : gradient_.dense) {
    messages.push_back({Message::Kind::kSum, weight});
    messages.push_back({Message::Kind::kSum, bias});
  }
  return messages;
}

Message HypernetworkBlock::gather_message(const StepRanks& ranks) {
  const at::Tensor& gradient = method_.theta_gradient();
  const int64_t row = gradient.size(1) * gradient.size(2);
  const at::Tensor by_pair = gradient.view({gradient.size(0), row});
  std::vector<int64_t> counts(static_cast<size_t>(ranks.size), 0);
  std::vector<int64_t> order, own;  // indices of pairs, by rank
  for (int rank = 0; rank < ranks.size; ++rank)
    for (size_t pair = 0; pair < ranks.owners.size(); ++pair) {
      if (ranks.owners[pair] != rank) continue;
      counts[static_cast<size_t>(rank)] += row;
      order.push_back(static_cast<int64_t>(pair));
      if (rank == ranks.rank) own.push_back(static_cast<int64_t>(pair));
    }
  const auto index = [&](const std::vector<int64_t>& pairs) {
    return at::tensor(at::ArrayRef<int64_t>(pairs), at::kLong).to(gradient.device(), at::kLong, true);
  };
  gather_order_ = index(order);
  received_ = at::empty_like(by_pair);
  return {Message::Kind::kGather, received_, by_pair.index_select(0, index(own)), counts};
}

// With whole pairs per rank (gather) the g of other ranks is zero, so the sum is right for that case too.
Message HypernetworkBlock::scatter_message(const StepRanks& ranks) {
  const at::Tensor& g = method_.theta_gradient();
  const int64_t share = hypernetwork_.share(), rows = g.size(0) * g.size(1);
  const at::Tensor flat = g.view({rows, hypernetwork_.theta_size()});
  at::Tensor message = at::zeros({ranks.size, rows, share}, g.options());
  for (int64_t rank = 0; rank < ranks.size; ++rank) {
    const int64_t count = hypernetwork_.row_count(rank);
    message[rank].narrow(1, 0, count).copy_(flat.narrow(1, hypernetwork_.row_begin(rank), count));
  }
  received_ = at::empty({g.size(0), g.size(1), share}, g.options());
  return {Message::Kind::kScatterSum, received_, message};
}

void HypernetworkBlock::exchanged(int round) {
  if (round == 1) {
    at::Tensor& ds = gradient_.source_gradient;
    gradient_.norm_squared = received_[ds.numel()];
    ds = received_.narrow(0, 0, ds.numel()).view(ds.sizes());
    return;
  }
  if (round > 1 || kind_ == ExchangeKind::kDense) return;
  at::Tensor factors = received_;
  if (gather_order_.defined()) {
    factors = method_.theta_gradient();
    factors.view({factors.size(0), -1}).index_copy_(0, gather_order_, received_);
  } else if (hypernetwork_.is_sharded()) {
    factors = received_.narrow(2, 0, hypernetwork_.own_rows());
  }
  RECORD_USER_SCOPE("hyperx::generator");
  gradient_ = factored_gradient(factors);
}

void HypernetworkBlock::gradient_complete() {
  // Gradients of P and the embeddings, from ds: the same on every rank. The graph is used once per step.
  const at::AutoGradMode with_gradient(true);
  const at::Tensor& sources = method_.sources();
  sources.backward(gradient_.source_gradient.to(sources.device(), sources.scalar_type()));
}

at::Tensor HypernetworkBlock::norm_squared() const {
  if (gradient_.dense.empty()) return gradient_.norm_squared;
  std::vector<at::Tensor> parts;
  for (const auto& [weight, bias] : gradient_.dense) {
    parts.push_back(sum_of_squares(weight));
    parts.push_back(sum_of_squares(bias));
  }
  return at::stack(parts).sum();
}

void HypernetworkBlock::begin_training(const UpdateOptions&) {
  const Generators& own = hypernetwork_.generators();
  m_ = zeros_like(own);
  v_ = zeros_like(own);
  count_ = at::zeros({1}, own.front().weight.options().dtype(at::kLong));
}

void HypernetworkBlock::update(const AdamStep& given) {
  AdamStep step = given;
  step.rate *= rate_share_;
  RECORD_USER_SCOPE("hyperx::generator");
  HYPERX_CHECK(!m_.empty(), "begin_training comes before updates");
  const at::Tensor s = method_.sources().detach();
  const StepFactors factors = next_step(count_, {}, step);
  for (size_t group = 0; group < hypernetwork_.generators().size(); ++group) {
    auto& [w, c] = hypernetwork_.generators()[group];
    auto& [w_m, c_m] = m_[group];
    auto& [w_v, c_v] = v_[group];
    if (!gradient_.dense.empty()) {
      adam(w, gradient_.dense[group].weight, w_m, w_v, factors, step);
      adam(c, gradient_.dense[group].bias, c_m, c_v, factors, step.without_decay());
      continue;
    }
    const at::Tensor g = hypernetwork_.rows_of_group(gradient_.factors, group);
    low_rank_adam({w, c, w_m, w_v, c_m, c_v}, g, s, factors, step);
  }
}

std::vector<std::pair<std::string, int64_t>> HypernetworkBlock::update_counts() const {
  return {{kCountName, count_.item<int64_t>()}};
}

bool HypernetworkBlock::set_update_count(const std::string& name, int64_t count) {
  if (name != kCountName) return false;
  count_.fill_(count);
  return true;
}

const HypernetworkBlock::Generators& HypernetworkBlock::generators(StatePart part) const {
  return part == StatePart::kValues ? hypernetwork_.generators() : part == StatePart::kFirstMoments ? m_ : v_;
}

HypernetworkBlock::Generators HypernetworkBlock::blank(const Generators& own) const {
  Generators whole;
  for (const auto& [weight, bias] : own)
    whole.push_back({at::empty({hypernetwork_.theta_size(), weight.size(1)}, weight.options().device(at::kCPU)),
                     at::empty({hypernetwork_.theta_size()}, bias.options().device(at::kCPU))});
  return whole;
}

HypernetworkBlock::Generators HypernetworkBlock::gather(const Generators& own, comm::Communicator& ranks) const {
  const bool receives = ranks.rank() == 0;
  const Generators whole = receives ? blank(own) : Generators();
  for (size_t group = 0; group < own.size(); ++group) {
    gather_rows(hypernetwork_, ranks, own[group].weight, receives ? whole[group].weight : at::Tensor());
    gather_rows(hypernetwork_, ranks, own[group].bias.unsqueeze(1),
                receives ? whole[group].bias.unsqueeze(1) : at::Tensor());
  }
  return whole;
}

NamedTensors HypernetworkBlock::state(StatePart part, comm::Communicator& ranks) {
  const Generators& own = generators(part);
  return hypernetwork_.named_views_of(hypernetwork_.is_sharded() ? gather(own, ranks) : own);
}

NamedTensors HypernetworkBlock::loadable(StatePart part) {
  const Generators& own = generators(part);
  if (!hypernetwork_.is_sharded()) return hypernetwork_.named_views_of(own);
  loading_[part] = blank(own);
  copy_own_rows(part, true);  // tensors that a load does not find keep their values
  return hypernetwork_.named_views_of(loading_[part]);
}

void HypernetworkBlock::loaded(StatePart part) {
  if (!hypernetwork_.is_sharded()) return;
  copy_own_rows(part, false);
  loading_.erase(part);
}

void HypernetworkBlock::copy_own_rows(StatePart state_part, bool into_loading) {
  const at::NoGradGuard no_gradient;
  const auto copy = [&](const at::Tensor& whole, const at::Tensor& part) {
    const at::Tensor rows = whole.narrow(0, hypernetwork_.own_begin(), hypernetwork_.own_rows());
    into_loading ? rows.copy_(part) : part.copy_(rows);
  };
  const Generators &own = generators(state_part), &loading = loading_.at(state_part);
  for (size_t group = 0; group < own.size(); ++group) {
    copy(loading[group].weight, own[group].weight);
    copy(loading[group].bias, own[group].bias);
  }
}

}  // namespace hyperx::model

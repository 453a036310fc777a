#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "model/methods/hyperx/exchange_choice.h"
#include "model/methods/hyperx/hypernetwork.h"
#include "model/parameters/parameter_block.h"

namespace hyperx::model {

class HyperX;

// The generators' gradient of one step. Complete and equal on every rank, except `factors`, which hold only the columns
// of this rank's rows of W.
struct GeneratorGradient {
  at::Tensor source_gradient;                  // ds [rows, projected] fp64, from W before its update
  at::Tensor norm_squared;                     // of dW and dc; 0-dim fp64
  at::Tensor factors;                          // g [pairs, layers, own rows]
  std::vector<Hypernetwork::Generator> dense;  // dW, dc of each group; empty: use the factors and the sources
};

// W and c of the generators: exchanges, measures and applies their low-rank gradient (docs/method.md section 6).
//
// With sharded rows a reduce-scatter gives every rank the columns of g for its own rows, and a second round sums ds and
// the norm over the ranks.
class HypernetworkBlock final : public ParameterBlock {
 public:
  // `method` must outlive the block.
  // `rate_share`: hyperx.generator_rate.
  HypernetworkBlock(HyperX& method, Hypernetwork& hypernetwork, ExchangeKind kind, double rate_share = 1);

  // The gradient from g [pairs, layers, own rows], computed from this rank's rows of W: ds and the norm are sums over
  // rows, so those of all ranks add up.
  GeneratorGradient factored_gradient(const at::Tensor& g) const;
  // The same as dense matrices, for this rank's share of the batch: what `parallel.exchange=dense` sends, and the test
  // oracle.
  GeneratorGradient dense_gradient() const;
  const GeneratorGradient& gradient() const { return gradient_; }  // of the step, after the exchange

  int64_t element_count() const override { return hypernetwork_.element_count(); }
  void begin_step() override { gradient_ = {}; }
  bool is_used() const override { return true; }
  bool needs_whole_pairs() const override { return kind_ == ExchangeKind::kGather; }
  const char* exchange() const override { return exchange_name(kind_); }
  int rounds() const override { return hypernetwork_.is_sharded() ? 2 : 1; }
  std::vector<Message> messages(int round, const StepRanks& ranks) override;
  void exchanged(int round) override;
  void gradient_complete() override;
  at::Tensor norm_squared() const override;
  void begin_training(const UpdateOptions& options) override;
  void update(const AdamStep& step) override;
  std::vector<std::pair<std::string, int64_t>> update_counts() const override;
  bool set_update_count(const std::string& name, int64_t count) override;
  NamedTensors state(StatePart part, comm::Communicator& ranks) override;
  NamedTensors loadable(StatePart part) override;
  void loaded(StatePart part) override;

 private:
  using Generators = std::vector<Hypernetwork::Generator>;
  std::vector<Message> dense_messages();
  Message gather_message(const StepRanks& ranks);
  Message scatter_message(const StepRanks& ranks);
  const Generators& generators(StatePart part) const;
  Generators gather(const Generators& own, comm::Communicator& ranks) const;  // all rows on rank 0, none elsewhere
  Generators blank(const Generators& own) const;                              // buffers on the host for all rows

  void copy_own_rows(StatePart part, bool into_loading);

  HyperX& method_;
  Hypernetwork& hypernetwork_;
  ExchangeKind kind_;
  double rate_share_;
  GeneratorGradient gradient_;
  at::Tensor received_;                      // received in the current round
  at::Tensor gather_order_;                  // [pairs] the pair of each row of received_; gather
  Generators m_, v_;                         // own rows; empty before begin_training
  at::Tensor count_;                         // [1] int64
  std::map<StatePart, Generators> loading_;  // all rows, between loadable() and loaded(); sharded
};

}  // namespace hyperx::model

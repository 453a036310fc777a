#include "trainer/estimate/estimate.h"

#include <algorithm>
#include <cmath>

#include "common/log.h"
#include "common/progress.h"

namespace hyperx::estimate {
namespace {

double hops(int count) { return count > 1 ? std::ceil(std::log2(static_cast<double>(count))) : 0; }

// First within each node, then between nodes, one after the other.
double seconds_of(const model::MessageCost& message, int ranks, const Setup& setup) {
  const int inside = std::min(ranks, setup.ranks_per_node);
  const int nodes = (ranks + setup.ranks_per_node - 1) / setup.ranks_per_node;
  double seconds = 0;
  for (const auto& [count, link] : {std::pair{inside, &setup.link}, {nodes, &setup.network}}) {
    if (count == 1) continue;
    seconds += message.sent(count) / link->bandwidth + 2 * hops(count) * link->latency;
  }
  return seconds;
}

void add_times(const Setup& setup, const StepSizes& share, const model::MethodCosts& costs, double value_bytes,
               Row& row) {
  const Device& device = *setup.device;
  const StepWork work = work_of(share, setup.model, costs, value_bytes);
  row.product_seconds =
      std::max(work.product_operations / device.product_rate, work.weight_bytes / device.generator_bandwidth);
  row.attention_seconds = work.attention_operations / device.attention_rate;
  row.element_seconds = work.element_bytes / device.element_bandwidth;
  row.generator_seconds =
      work.generator_bytes / device.generator_bandwidth + work.generator_operations / device.product_rate;
  row.rest_seconds = device.layer_seconds * work.layer_passes;
  if (row.ranks > 1)
    for (const model::MessageCost& message : messages_of(setup.model, setup.step, costs))
      row.exchange_seconds += seconds_of(message, row.ranks, setup);

  const double token_seconds =
      (row.product_seconds + row.attention_seconds + row.element_seconds) / std::max(1.0, share.tokens);
  const double evaluations = setup.model.config.eval.every > 0
                                 ? std::floor(setup.steps / static_cast<double>(setup.model.config.eval.every))
                                 : 0;
  const double saves = 1 + (setup.model.config.checkpoint.every > 0
                                ? std::floor(setup.steps / static_cast<double>(setup.model.config.checkpoint.every))
                                : 0);
  row.run_seconds = setup.steps * row.step_seconds() +
                    evaluations * work.forward_share * token_seconds * setup.evaluation_tokens / row.ranks +
                    saves * row.memory.checkpoint / device.generator_bandwidth;
}

// The key that reduces the largest part of the memory.
std::string key_that_helps(const Setup& setup, const model::MethodCosts& costs, const Memory& memory) {
  const double largest =
      std::max({memory.activations, memory.method + memory.checkpoint, memory.encoder, memory.generated});
  if (largest == memory.activations) return "set train.micro_batch_tokens, or a lower train.batch_sentences";
  if (largest == memory.generated) return "lower train.pairs_per_step";
  if (largest == memory.encoder)
    return setup.precision == "fp32" && setup.device && setup.device->gpu ? "set train.precision=bf16"
                                                                          : "take a smaller encoder";
  return costs.smaller_state;
}

void add_notes(const Setup& setup, const model::MethodCosts& costs, Row& row) {
  const bool gpu = setup.device && setup.device->gpu;
  const double on_node = gpu ? 1 : std::min(row.ranks, setup.ranks_per_node);
  const double needed = on_node * row.memory.step() + (gpu ? 0 : row.memory.checkpoint);
  if (setup.memory_limit > 0 && needed > setup.memory_limit)
    row.notes.push_back(fmt::format("{} ranks: {} a {} are needed, {} are there: it will not fit; {}", row.ranks,
                                    format_bytes(needed), gpu ? "GPU" : "node", format_bytes(setup.memory_limit),
                                    key_that_helps(setup, costs, row.memory)));
  const double units = costs.whole_pairs ? setup.step.pairs : setup.step.sentences;
  if (row.ranks > units)
    row.notes.push_back(
        fmt::format("{} ranks: a step has {:.0f} {}, so {:.0f} ranks have none; raise {}", row.ranks, units,
                    costs.whole_pairs ? "pairs" : "sentences", row.ranks - units,
                    costs.whole_pairs ? "train.pairs_per_step" : "train.batch_sentences or train.pairs_per_step"));
}

}  // namespace

model::MethodCosts method_costs(const Setup& setup, int ranks) {
  return setup.model.method_costs(ranks, setup.step.pairs, setup.device && setup.device->gpu,
                                  setup.precision == "bf16");
}

Row estimate_row(const Setup& setup, int ranks) {
  const model::MethodCosts costs = method_costs(setup, ranks);
  StepSizes share = share_of(setup.step, ranks, costs.whole_pairs);
  share.pairs = setup.step.pairs;  // every rank generates theta of all pairs, and updates from the gradients of all
  const bool gpu = setup.device && setup.device->gpu, bf16 = setup.precision == "bf16";
  const double value_bytes = bf16 ? 2 : 4;
  const MemoryOptions memory{gpu, bf16, model::has_random_weights(setup.model.config.model.encoder)};

  Row row;
  row.ranks = ranks;
  row.nodes = (ranks + setup.ranks_per_node - 1) / setup.ranks_per_node;
  row.exchange = ranks == 1 ? "-" : costs.exchange;
  row.tokens = share.tokens;
  row.memory = memory_of(setup.model, costs, share, setup.model.config.train.micro_batch_tokens, memory);
  row.bytes_sent = bytes_sent(messages_of(setup.model, setup.step, costs), ranks);
  if (setup.device) add_times(setup, share, costs, value_bytes, row);
  add_notes(setup, costs, row);
  return row;
}

}  // namespace hyperx::estimate

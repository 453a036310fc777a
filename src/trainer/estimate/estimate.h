#pragma once

#include <optional>
#include <string>
#include <vector>

#include "trainer/estimate/devices.h"
#include "trainer/estimate/memory.h"
#include "trainer/estimate/traffic.h"

// The cost of a run, computed only from its settings. Laws:
//
//   time of a step   Σ work / rate over the kinds of StepWork, + messages / links. Products and activations grow with
//                    tokens, attention with Σ length², the generators' passes with W, and with K only by theta
//   memory           encoder + 3 W + 2 K L n + activations per token; each language adds an embedding
//   traffic          2 K L n, K L n or 2 W values per step and rank, for any number of ranks, + the small tensors
//   ranks            tokens per rank fall as 1/R until each rank has one sentence; the generators' passes do not,
//                    unless sharded
namespace hyperx::estimate {

struct Setup {
  ModelSizes model;
  StepSizes step;
  double steps = 0;                // of the run
  double evaluation_tokens = 0;    // of one evaluation
  std::string precision = "fp32";  // or "bf16"
  std::optional<Device> device;    // none: no times
  Link link, network;              // within a node; between nodes
  int ranks_per_node = 8;
  double memory_limit = 0;  // bytes of a node, or of each GPU; 0: unknown
};

// The estimate for one number of ranks.
struct Row {
  int ranks = 1;
  int nodes = 1;
  std::string exchange;  // how the method's gradient is exchanged: sum, factors, gather, ...; "-" for one rank
  double tokens = 0;     // of the rank with the most
  Memory memory;
  double bytes_sent = 0;  // per step and rank
  double product_seconds = 0, attention_seconds = 0, element_seconds = 0, generator_seconds = 0, rest_seconds = 0,
         exchange_seconds = 0;
  double run_seconds = 0;
  std::vector<std::string> notes;  // warnings: what does not fit or has no effect, and the key to change

  double step_seconds() const {
    return product_seconds + attention_seconds + element_seconds + generator_seconds + rest_seconds + exchange_seconds;
  }
  double peak_bytes(bool gpu) const { return memory.step() + (gpu ? 0 : memory.checkpoint); }  // of rank 0
};

model::MethodCosts method_costs(const Setup& setup, int ranks);
Row estimate_row(const Setup& setup, int ranks);

}  // namespace hyperx::estimate

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "trainer/estimate/devices.h"
#include "trainer/estimate/memory.h"
#include "trainer/estimate/traffic.h"

// What a run will cost, from its settings alone. Laws:
//
//   time of a step   Σ work / rate over the kinds of StepWork, + messages / links. Products and activations grow with
//                    tokens, attention with Σ length², the generators' passes with W, and with K only by theta
//   memory           encoder + 3 W + 2 K L n + activations a token; languages add an embedding each
//   traffic          2 K L n, K L n or 2 W values a step and rank, whatever the number of ranks, + the small tensors
//   ranks            tokens a rank fall as 1/R until each has one sentence; the generators' passes do not, unless
//   sharded
namespace hyperx::estimate {

struct Setup {
  ModelSizes model;
  StepSizes step;
  double steps = 0;                // of the run
  double evaluation_tokens = 0;    // of one evaluation
  std::string precision = "fp32";  // or "bf16"
  std::optional<Device> device;    // without one no times
  Link link, network;              // within a node; between nodes
  int ranks_per_node = 8;
  double memory_limit = 0;  // bytes a node, or of each GPU; 0: not known
};

// One number of ranks.
struct Row {
  int ranks = 1;
  int nodes = 1;
  std::string exchange;  // how the method's gradient travels: sum, factors, gather, ...; "-" for one rank
  double tokens = 0;     // of the fullest rank
  Memory memory;
  double bytes_sent = 0;  // a step and rank
  double product_seconds = 0, attention_seconds = 0, element_seconds = 0, generator_seconds = 0, rest_seconds = 0,
         exchange_seconds = 0;
  double run_seconds = 0;
  std::vector<std::string> notes;  // what will not fit, or is in vain, with the key to change

  double step_seconds() const {
    return product_seconds + attention_seconds + element_seconds + generator_seconds + rest_seconds + exchange_seconds;
  }
  double peak_bytes(bool gpu) const { return memory.step() + (gpu ? 0 : memory.checkpoint); }  // of rank 0
};

model::MethodCosts method_costs(const Setup& setup, int ranks);
Row estimate_row(const Setup& setup, int ranks);

}  // namespace hyperx::estimate

#pragma once

#include <string>
#include <vector>

namespace hyperx::estimate {

// The hardware that a rank computes with. A data sheet gives two rates, of matrix products and of memory; times from
// them are lower bounds: no step takes less. Measured rates of each kind of work predict the actual times on that
// machine.
struct Device {
  std::string name;
  bool gpu = false;
  bool limits = false;             // rates from a data sheet, or only from `hyperx-bench machine`
  double memory_bytes = 0;         // of a GPU, or of the whole machine
  double product_rate = 0;         // operations/s of matrix products in the precision of the run
  double attention_rate = 0;       // operations/s
  double element_bandwidth = 0;    // bytes/s of norms, activations, dropout
  double generator_bandwidth = 0;  // bytes/s of the passes over the values that a method updates
  double layer_seconds = 0;        // s per layer and pair, whatever its size: calls, small tensors
};

// A connection that carries messages between ranks.
struct Link {
  std::string name;
  double bandwidth = 0;  // bytes/s in one direction
  double latency = 0;    // s per hop
};

// A row of the tables by its name; for a link also `NAMExN`: N of them in parallel. UserError (64) with the nearest
// name and a list of all.
Device gpu_preset(const std::string& name);
Link link_preset(const std::string& name);
std::string usual_link(const std::string& gpu);  // within a node: "nvlink4" for "h100"
std::vector<std::string> gpu_names();
std::vector<std::string> link_names();

// The rates that `hyperx-bench machine step --json FILE` measured for a precision, "fp32" or "bf16"; without the rows
// of `step`, the machine's limits. UserError (66, 65).
Device measured_device(const std::string& path, const std::string& precision);

}  // namespace hyperx::estimate

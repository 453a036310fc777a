#pragma once

#include <string>
#include <vector>

namespace hyperx::estimate {

// What a rank computes with. Of a data sheet there are two rates, of products and of memory, and the times that they
// give are limits: no step takes less. Measured rates of each kind of work tell what steps take on that machine.
struct Device {
  std::string name;
  bool gpu = false;
  bool limits = false;             // rates of a data sheet, or of `hyperx-bench machine` alone
  double memory_bytes = 0;         // of a GPU, or of the machine
  double product_rate = 0;         // operations/s of matrix products in the precision of the run
  double attention_rate = 0;       // operations/s
  double element_bandwidth = 0;    // bytes/s of norms, activations, dropout
  double generator_bandwidth = 0;  // bytes/s of the passes over what a method updates
  double layer_seconds = 0;        // a layer and pair, whatever its size: calls, small tensors
};

// A connection that messages of the ranks go over.
struct Link {
  std::string name;
  double bandwidth = 0;  // bytes/s one way
  double latency = 0;    // s a hop
};

// A row of the tables by its name; `NAMExN` of a link: N of them side by side. UserError (64) with the nearest name and
// all that there are.
Device gpu_preset(const std::string& name);
Link link_preset(const std::string& name);
std::string usual_link(const std::string& gpu);  // within a node: "nvlink4" for "h100"
std::vector<std::string> gpu_names();
std::vector<std::string> link_names();

// The rates that `hyperx-bench machine step --json FILE` measured for a precision, "fp32" or "bf16"; without the rows
// of `step`, the machine's limits. UserError (66, 65).
Device measured_device(const std::string& path, const std::string& precision);

}  // namespace hyperx::estimate

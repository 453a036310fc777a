#pragma once

#include <string>
#include <vector>

namespace hyperx::estimate {

// What a rank computes with: rates that work reaches, not those of the data sheet.
struct Device {
  std::string name;
  bool gpu = false;
  double memory_bytes = 0;         // of a GPU, or of the machine; 0: not known
  double product_rate = 0;         // operations/s of the encoder's products in the precision of the run
  double attention_rate = 0;       // operations/s
  double element_bandwidth = 0;    // bytes/s of norms, activations, dropout
  double generator_bandwidth = 0;  // bytes/s of the passes over W
  double generator_rate = 0;       // operations/s of W's products
  double layer_seconds = 0;        // a layer and pair, whatever its size: calls, small tensors
  double update_passes = 6;        // over W in Adam: read and write of W and both moments
};

// A connection that messages of the ranks go over.
struct Link {
  std::string name;
  double bandwidth = 0;  // bytes/s one way, as reached
  double latency = 0;    // s a hop
};

// A preset by its name. UserError (64) with the nearest name and all that there are. GPUs: data sheet's dense bf16
// rate, memory bandwidth and size, times kProductShare and kBandwidthShare; links: nominal bandwidth times kLinkShare.
// `NAMExN`: N links side by side.
constexpr double kProductShare = 0.4;    // a batch of some hundred rows does not fill a GPU
constexpr double kAttentionShare = 0.1;  // short sentences
constexpr double kBandwidthShare = 0.75;
constexpr double kLinkShare = 0.8;
// Of the rate of the encoder's products, what those of W reach, with some twelve rows at a time.
constexpr double kGeneratorProductShare = 0.4;
Device gpu_preset(const std::string& name);
Link link_preset(const std::string& name);
std::string usual_link(const std::string& gpu);  // within a node: "nvlink4" for "h100"
std::vector<std::string> gpu_names();
std::vector<std::string> link_names();

// The rates that `hyperx bench machine step --json FILE` measured for a precision, "fp32" or "bf16". Without step rows,
// shares of the machine's own limits that stand in the source. UserError (66, 65).
Device measured_device(const std::string& path, const std::string& precision);

}  // namespace hyperx::estimate

#include "trainer/estimate/devices.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

#include "common/config/config.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/json.h"

namespace hyperx::estimate {
namespace {

struct GpuRow {
  const char* name;
  double tera_operations, giga_bytes_a_second, giga_bytes;  // bf16 without sparsity, memory
  const char* link;
};

constexpr GpuRow kGpus[] = {
    {"a10", 125, 600, 24, "pcie4"},        {"a100-40", 312, 1555, 40, "nvlink3"}, {"a100-80", 312, 2039, 80, "nvlink3"},
    {"a100-pcie", 312, 1935, 80, "pcie4"}, {"a40", 150, 696, 48, "pcie4"},        {"b200", 2250, 8000, 180, "nvlink5"},
    {"h100", 989, 3350, 80, "nvlink4"},    {"h100-pcie", 756, 2000, 80, "pcie5"}, {"h200", 989, 4800, 141, "nvlink4"},
    {"l4", 121, 300, 24, "pcie4"},         {"l40s", 362, 864, 48, "pcie4"},       {"rtx4090", 165, 1008, 24, "pcie4"},
};

struct LinkRow {
  const char* name;
  double giga_bytes_a_second, micro_seconds;  // in one direction; per hop
};

constexpr LinkRow kLinks[] = {
    {"nvlink3", 300, 3},    {"nvlink4", 450, 3},  {"nvlink5", 900, 3},  {"pcie3", 16, 8},      {"pcie4", 32, 8},
    {"pcie5", 64, 8},       {"eth-1", 0.125, 50}, {"eth-10", 1.25, 40}, {"eth-25", 3.125, 30}, {"eth-100", 12.5, 20},
    {"ib-edr100", 12.5, 5}, {"ib-hdr200", 25, 5}, {"ib-ndr400", 50, 5}, {"ib-xdr800", 100, 5}, {"shared-memory", 2, 5},
};

template <class Row, size_t count>
std::vector<std::string> names_of(const Row (&rows)[count]) {
  std::vector<std::string> names;
  for (const Row& row : rows) names.emplace_back(row.name);
  return names;
}

template <class Row, size_t count>
const Row& find_row(const Row (&rows)[count], const std::string& name, const std::string& kind) {
  for (const Row& row : rows)
    if (name == row.name) return row;
  const std::vector<std::string> names = names_of(rows);
  const std::string nearest = nearest_word(name, names);
  throw UserError(ExitCode::kUsage,
                  fmt::format("unknown {} '{}'{}; there are {}", kind, name,
                              nearest.empty() ? "" : "; did you mean '" + nearest + "'?", fmt::join(names, ", ")));
}

void take_limits(Device& device, double product_rate, double bandwidth) {
  device.limits = true;
  device.product_rate = device.attention_rate = product_rate;
  device.element_bandwidth = device.generator_bandwidth = bandwidth;
}

std::string how_to_write(const std::string& path) {
  return "the rates of a machine; write it with `hyperx-bench machine step --json " + path + "`";
}

// The figures of a file that hyperx-bench wrote, by part and by what was measured. UserError (66, 65).
std::map<std::pair<std::string, std::string>, double> measures_of(const std::string& path) {
  const nlohmann::json file = parse_json(read_file(path), path, "it should hold " + how_to_write(path));
  std::map<std::pair<std::string, std::string>, double> measures;
  try {
    for (const JsonValue& row : JsonValue(path, file)["measures"].items())
      measures[{row["part"].text(), row["what"].text()}] = row["value"].number();
  } catch (const UserError& error) {
    throw UserError(error.code(), fmt::format("{}; it should hold {}", error.what(), how_to_write(path)));
  }
  return measures;
}

}  // namespace

std::vector<std::string> gpu_names() { return names_of(kGpus); }
std::vector<std::string> link_names() { return names_of(kLinks); }
std::string usual_link(const std::string& gpu) { return find_row(kGpus, gpu, "GPU").link; }

Device gpu_preset(const std::string& name) {
  const GpuRow& row = find_row(kGpus, name, "GPU");
  Device device;
  device.name = name;
  device.gpu = true;
  device.memory_bytes = 1e9 * row.giga_bytes;
  take_limits(device, 1e12 * row.tera_operations, 1e9 * row.giga_bytes_a_second);
  return device;
}

Link link_preset(const std::string& name) {
  const size_t times = name.rfind('x');
  int count = 1;
  std::string kind = name;
  if (times != std::string::npos && times + 1 < name.size()) {
    const auto [stop, error] = std::from_chars(name.data() + times + 1, name.data() + name.size(), count);
    if (error == std::errc() && stop == name.data() + name.size() && count > 0)
      kind = name.substr(0, times);
    else
      count = 1;
  }
  const LinkRow& row = find_row(kLinks, kind, "link");
  return {name, 1e9 * row.giga_bytes_a_second * count, 1e-6 * row.micro_seconds};
}

Device measured_device(const std::string& path, const std::string& precision) {
  const auto measures = measures_of(path);
  const auto value_of = [&](const std::string& part, const std::string& what) {
    const auto found = measures.find({part, what});
    return found == measures.end() ? 0.0 : found->second;
  };
  const double fp32 = value_of("machine", "product [1024, 768] x [768, 3072] in fp32");
  const double bf16 = value_of("machine", "the same in bf16, weights packed");
  const double triad = value_of("machine", "memory, two read and one written");
  if (!(fp32 > 0 && bf16 > 0 && triad > 0)) throw UserError(ExitCode::kBadData, path + ": lacks " + how_to_write(path));
  const double product = 1e9 * (precision == "bf16" ? bf16 : fp32), bandwidth = 1e9 * triad;
  Device device;
  device.name = path;
  device.memory_bytes = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE));
  take_limits(device, product, bandwidth);
  const auto take = [&](const char* what, double unit, double& value) {
    const double measured = value_of("rates", std::string(what) + ", " + precision);
    if (measured > 0) value = unit * measured;
    return measured > 0;
  };
  device.limits = !take("products", 1e9, device.product_rate);
  take("attention", 1e9, device.attention_rate);
  take("elementwise", 1e9, device.element_bandwidth);
  take("generator", 1e9, device.generator_bandwidth);
  take("rest", 1e-3, device.layer_seconds);
  return device;
}

}  // namespace hyperx::estimate

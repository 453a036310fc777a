#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace hyperx::train {

// Identifies a process uniquely: neither a later process with the same number is taken for it, nor one with the same
// host name and number in another container or after a reboot.
struct ProcessId {
  std::string host;
  int64_t pid = 0;
  int64_t start_ticks = 0;  // since boot, from /proc/PID/stat; 0: unknown
  std::string boot;         // id of the kernel's boot
  std::string pid_space;    // PID namespace, as /proc/self/ns/pid names it

  static ProcessId self();
  bool operator==(const ProcessId&) const = default;
  // True if this process can see the other's number: same host, boot and PID namespace. False for a record without the
  // last two, as written by hyperx 0.1.0.
  bool in_sight() const;
  bool alive() const;        // meaningful only if in_sight()
  std::string text() const;  // "process 12 on node7"
  nlohmann::json to_json() const;
  static ProcessId from_json(const nlohmann::json& object);  // missing fields stay empty
};

}  // namespace hyperx::train

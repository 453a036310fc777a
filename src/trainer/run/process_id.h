#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace hyperx::train {

// A process, named so that nothing else is taken for it: neither a later process with the same number, nor one with the
// same host name and number in another container or after a reboot.
struct ProcessId {
  std::string host;
  int64_t pid = 0;
  int64_t start_ticks = 0;  // since boot, of /proc/PID/stat; 0: unknown
  std::string boot;         // id of the kernel's start
  std::string pid_space;    // PID namespace, as /proc/self/ns/pid names it

  static ProcessId self();
  bool operator==(const ProcessId&) const = default;
  // True if this process sees the other's number: same host, boot and PID namespace. False for a record without the
  // last two, as hyperx 0.1.0 wrote them.
  bool in_sight() const;
  bool alive() const;        // meaningful in sight only
  std::string text() const;  // "process 12 on node7"
  nlohmann::json to_json() const;
  static ProcessId from_json(const nlohmann::json& object);  // missing fields stay empty
};

}  // namespace hyperx::train

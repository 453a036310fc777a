#include "trainer/run/process_id.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/host.h"
#include "common/leftovers.h"

namespace hyperx::train {

namespace {

constexpr int64_t kEnded = -1;

// False if /proc belongs to another PID namespace (`unshare --pid` without --mount-proc): its numbers are not ours.
bool proc_has_our_numbers() {
  std::error_code none;
  return std::filesystem::read_symlink("/proc/self", none) == std::to_string(::getpid());
}

// Start time of a process ("self" or its number), field 22 of its stat line. 0 if it is not visible (another user's
// process may be hidden); kEnded if it has ended and was not waited for (containers without an init keep such processes
// forever). Fields are counted from the end of the command's name, which may contain spaces and brackets.
int64_t start_ticks_of(const std::string& process) {
  std::ifstream file("/proc/" + process + "/stat");
  std::string line;
  if (!std::getline(file, line)) return 0;
  const size_t end_of_name = line.rfind(')');
  if (end_of_name == std::string::npos) return 0;
  std::istringstream fields(line.substr(end_of_name + 1));
  std::string field;
  for (int i = 3; i <= 22; ++i) {
    if (!(fields >> field)) return 0;
    if (i == 3 && (field == "Z" || field == "X")) return kEnded;  // state of the process
  }
  return std::strtoll(field.c_str(), nullptr, 10);
}

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

std::string pid_space_of_self() {
  std::error_code none;
  return std::filesystem::read_symlink("/proc/self/ns/pid", none).string();
}

template <class Value>
void take(const nlohmann::json& object, const char* key, Value& value) {
  const auto found = object.find(key);
  if (found == object.end()) return;
  if (std::is_integral_v<Value> ? found->is_number_integer() : found->is_string()) value = found->get<Value>();
}

}  // namespace

ProcessId ProcessId::self() {
  return {host_name(), ::getpid(), start_ticks_of("self"), boot_id(), pid_space_of_self()};
}

bool ProcessId::in_sight() const {
  return !boot.empty() && boot == boot_id() && host == host_name() && pid_space == pid_space_of_self();
}

bool ProcessId::alive() const {
  if (pid <= 0 || !is_alive(static_cast<pid_t>(pid))) return false;
  const int64_t ticks = proc_has_our_numbers() ? start_ticks_of(std::to_string(pid)) : 0;
  return ticks != kEnded && (start_ticks == 0 || ticks == 0 || ticks == start_ticks);
}

std::string ProcessId::text() const { return "process " + std::to_string(pid) + " on " + host; }

nlohmann::json ProcessId::to_json() const {
  return {{"host", host}, {"pid", pid}, {"start_ticks", start_ticks}, {"boot", boot}, {"pid_space", pid_space}};
}

ProcessId ProcessId::from_json(const nlohmann::json& object) {
  ProcessId id;
  if (!object.is_object()) return id;
  take(object, "host", id.host);
  take(object, "pid", id.pid);
  take(object, "start_ticks", id.start_ticks);
  take(object, "boot", id.boot);
  take(object, "pid_space", id.pid_space);
  return id;
}

}  // namespace hyperx::train

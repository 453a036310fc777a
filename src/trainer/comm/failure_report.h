#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace hyperx::comm {

// Which rank failed, where and why, as reported in state.json and the first line of the log.
struct FailureReport {
  int rank = 0;
  std::string host;
  std::string section;
  int64_t step = -1;  // -1: before the first
  std::string reason;
  int exit_code = 0;
  bool of_all = false;  // all ranks have the same error; `rank` is 0
};

// Called on the failing rank before the job ends; the watchdog calls it in a separate thread and gives it 10 s.
using OnFailure = std::function<void(const FailureReport&)>;

}  // namespace hyperx::comm

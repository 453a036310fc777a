#pragma once

#include <exception>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "trainer/run/metrics_file.h"
#include "trainer/run/run_state.h"

// The state of a run, as `status` shows it.
namespace hyperx {

struct RunStatus {
  std::string run;
  std::string state;         // as observed: also "lost", and "damaged" for a folder that cannot be read
  std::string reason;        // of failed, lost and damaged runs: why, and what to do; one line
  std::exception_ptr error;  // of damaged runs
  train::RunState stored;
  train::MetricsTail metrics;
  double heartbeat_age = 0;  // seconds; negative: unknown
  std::optional<double> seconds_left;
};

// The states in the order in which they are shown: those that need a person first.
const std::vector<std::string>& status_states();

// Never fails: what cannot be read gives a "damaged" run with the reason.
RunStatus status_of(const std::string& run);
nlohmann::json to_json(const RunStatus& status);
// The scores of the last evaluation: "pos:en accuracy 0.91 @5000"; of several pairs the mean of each main metric:
// "accuracy 0.91 (3 pairs), f1 0.74 (2 pairs) @5000"; "-": none yet.
std::string evaluation_text(const std::vector<nlohmann::json>& lines);

}  // namespace hyperx

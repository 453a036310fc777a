#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "trainer/run/process_id.h"
#include "trainer/run/run_dir.h"

// state.json: the state of a run, for `status`, scripts and people.
namespace hyperx::train {

// Why a run ended early.
struct RunFailure {
  int rank = 0;
  std::string host;
  int64_t step = 0;
  std::string section;  // start, step, checkpoint, evaluation
  std::string reason;
};

struct RunState {
  std::string state =
      "queued";       // queued (starting), running, saved (stopped by a signal, can be resumed), finished, failed
  int64_t step = 0;   // steps done
  int64_t steps = 0;  // steps of the whole run
  int world_size = 1;
  std::string started;     // time of this start, utc_time()
  std::string heartbeat;   // set by write_run_state
  std::string checkpoint;  // newest saved: "step-0005000"
  std::optional<double> best_score;
  std::optional<RunFailure> failure;
  ProcessId process;  // of rank 0; set by write_run_state
};

// Atomic; sets the time and this process. `sync` = false for heartbeats: they need not survive a power failure.
void write_run_state(const RunDir& run, RunState state, bool sync = true);
// UserError: 66 no such file; 65 damaged.
RunState read_run_state(const RunDir& run);

// Seconds since the last sign of life: the run wrote state.json, or touched its lock, which its process also does
// during a long step. Negative: unknown.
double silent_seconds(const RunDir& run, const RunState& state);
// state.state, or "lost": it is queued or running, but its process is gone, or (if the process is not visible, on
// another host or in another container) has been silent for too long.
std::string observed_state(const RunDir& run, const RunState& state);

constexpr double kHeartbeatSeconds = 10;  // how often a running process should call write_run_state
constexpr double kSilentSeconds = 600;    // a process that is not visible and silent this long counts as lost

}  // namespace hyperx::train

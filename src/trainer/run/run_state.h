#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "trainer/run/process_id.h"
#include "trainer/run/run_dir.h"

// state.json: how a run stands, for `status`, scripts and people.
namespace hyperx::train {

// Why a run ended that should not have.
struct RunFailure {
  int rank = 0;
  std::string host;
  int64_t step = 0;
  std::string section;  // start, step, checkpoint, evaluation
  std::string reason;
};

struct RunState {
  std::string state =
      "queued";       // queued (it starts), running, saved (stopped by a signal, may go on), finished, failed
  int64_t step = 0;   // done
  int64_t steps = 0;  // to do
  int world_size = 1;
  std::string started;     // of this start, utc_time()
  std::string heartbeat;   // set by write_run_state
  std::string checkpoint;  // newest saved: "step-0005000"
  std::optional<double> best_score;
  std::optional<RunFailure> failure;
  ProcessId process;  // of rank 0; set by write_run_state
};

// Atomically; with the time and this process. `sync` = false for mere heartbeats: they need not survive a power cut.
void write_run_state(const RunDir& run, RunState state, bool sync = true);
// UserError (66) when there is none, (65) when it is damaged.
RunState read_run_state(const RunDir& run);

// Seconds since the run last showed that it lives: wrote state.json, or touched its lock, which its process does also
// in a long step. Negative: unknown.
double silent_seconds(const RunDir& run, const RunState& state);
// state.state, or "lost": it says queued or running, but its process is gone, or (where that cannot be seen: on another
// host, in another container) has been silent for too long.
std::string observed_state(const RunDir& run, const RunState& state);

constexpr double kHeartbeatSeconds = 10;  // how often a running process should call write_run_state
constexpr double kSilentSeconds = 600;    // a process that cannot be seen and is silent this long counts as lost

}  // namespace hyperx::train

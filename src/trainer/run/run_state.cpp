#include "trainer/run/run_state.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <ctime>
#include <fstream>

#include "common/errors.h"
#include "common/files.h"
#include "common/json.h"

namespace hyperx::train {

void write_run_state(const RunDir& run, RunState state, bool sync) {
  state.heartbeat = utc_time();
  state.process = ProcessId::self();
  nlohmann::json object = {{"state", state.state},           {"step", state.step},
                           {"steps", state.steps},           {"world_size", state.world_size},
                           {"started", state.started},       {"heartbeat", state.heartbeat},
                           {"checkpoint", state.checkpoint}, {"process", state.process.to_json()}};
  if (state.best_score) object["best_score"] = *state.best_score;
  if (state.failure)
    object["failure"] = {{"rank", state.failure->rank},
                         {"host", state.failure->host},
                         {"step", state.failure->step},
                         {"section", state.failure->section},
                         {"reason", state.failure->reason}};
  const std::string text = object.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (sync) return write_file_atomically(run.state(), text);
  const std::string temporary = run.state() + "." + std::to_string(::getpid()) + ".tmp";
  std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file || std::rename(temporary.c_str(), run.state().c_str()) != 0)
    throw SystemError(run.state() + ": cannot be written: " + errno_text());
}

RunState read_run_state(const RunDir& run) {
  const std::string text = read_file(run.state());
  const std::string path = run.state();
  const nlohmann::json object = parse_json(text, path);
  const JsonValue root(path, object);
  RunState state;
  state.state = root["state"].text();
  state.step = root["step"].integer();
  state.steps = root["steps"].integer();
  state.world_size = static_cast<int>(root["world_size"].integer(0, INT_MAX));
  state.started = root["started"].text();
  state.heartbeat = root["heartbeat"].text();
  state.checkpoint = root["checkpoint"].text();
  state.process = ProcessId::from_json(root["process"].raw());
  if (root.has("best_score")) state.best_score = root["best_score"].number();
  if (root.has("failure")) {
    const JsonValue failure = root["failure"];
    state.failure = RunFailure{static_cast<int>(failure["rank"].integer(INT_MIN, INT_MAX)), failure["host"].text(),
                               failure["step"].integer(), failure["section"].text(), failure["reason"].text()};
  }
  return state;
}

double silent_seconds(const RunDir& run, const RunState& state) {
  const double written = age_seconds(state.heartbeat);
  struct stat lock {};
  if (::stat(run.lock().c_str(), &lock) != 0) return written;
  const double touched = std::max(0.0, std::difftime(std::time(nullptr), lock.st_mtim.tv_sec));
  return written < 0 ? touched : std::min(written, touched);
}

std::string observed_state(const RunDir& run, const RunState& state) {
  if (state.state != "running" && state.state != "queued") return state.state;
  if (state.process.in_sight()) return state.process.alive() ? state.state : "lost";
  const double silent = silent_seconds(run, state);
  return silent >= 0 && silent < kSilentSeconds ? state.state : "lost";
}

}  // namespace hyperx::train

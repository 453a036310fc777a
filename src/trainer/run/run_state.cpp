#include "trainer/run/run_state.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>

#include "common/errors.h"
#include "common/files.h"

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
  RunState state;
  try {
    const nlohmann::json object = nlohmann::json::parse(text);
    state.state = object.at("state").get<std::string>();
    state.step = object.at("step").get<int64_t>();
    state.steps = object.at("steps").get<int64_t>();
    state.world_size = object.at("world_size").get<int>();
    state.started = object.at("started").get<std::string>();
    state.heartbeat = object.at("heartbeat").get<std::string>();
    state.checkpoint = object.at("checkpoint").get<std::string>();
    state.process = ProcessId::from_json(object.at("process"));
    if (object.contains("best_score")) state.best_score = object["best_score"].get<double>();
    if (object.contains("failure")) {
      const nlohmann::json& failure = object["failure"];
      state.failure = RunFailure{failure.at("rank").get<int>(), failure.at("host").get<std::string>(),
                                 failure.at("step").get<int64_t>(), failure.at("section").get<std::string>(),
                                 failure.at("reason").get<std::string>()};
    }
  } catch (const nlohmann::json::exception& error) {
    throw UserError(ExitCode::kBadData, run.state() + ": damaged: " + error.what());
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

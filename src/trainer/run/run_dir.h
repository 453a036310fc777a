#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

// The run folder: paths inside it. ranks/ belongs to the watchdog, checkpoints/ to checkpoint.h; a result's file is
// named after its pair.
namespace hyperx::train {

struct RunDir {
  std::string path;

  std::string config() const { return path + "/config.conf"; }
  std::string environment() const { return path + "/environment.json"; }  // a list with one object per start of the run
  std::string hosts() const { return path + "/hosts.tsv"; }
  std::string state() const { return path + "/state.json"; }
  std::string metrics() const { return path + "/metrics.jsonl"; }
  std::string log() const { return path + "/train.log"; }
  std::string tensorboard() const { return path + "/tensorboard"; }
  std::string lock() const { return path + "/lock"; }
  std::string checkpoints() const { return path + "/checkpoints"; }
  std::string ranks() const { return path + "/ranks"; }
  std::string first_rank() const { return ranks() + "/rank-0.alive"; }
  // results/step-0005000/test
  std::string results(int64_t step, const std::string& split) const;

  // True once the run has taken a step; a run that failed earlier leaves nothing to keep.
  bool holds_run() const;
};

// Creates the folder. UserError (73): it holds a run and `resume` is false (the message names --resume auto), or it
// cannot be created or written to. An existing folder without a run is accepted.
RunDir open_run_dir(const std::string& path, bool resume);
// Removes what killed processes left half-written in the folder and its results/.
void remove_leftovers(const RunDir& run);

struct HostRow {
  int rank = 0, local_rank = 0;
  std::string host, device;
  int64_t pid = 0;
  int threads = 0;
  std::string cores;  // as cores_of_process()
};
// The cores that this process may use: "0-7,16".
std::string cores_of_process();

// Called by rank 0 before the first step: writes hosts.tsv, and adds this start to environment.json.
void write_run_description(const RunDir& run, const nlohmann::json& environment, const std::vector<HostRow>& hosts);
// Adds to this start's object in environment.json what is known only after the model is built.
void add_to_start(const RunDir& run, const nlohmann::json& facts);
// Program, libraries, host, CPU, kernel, folder, command line, and the environment variables that affect ranks (OMP_*,
// NCCL_*, ...).
nlohmann::json describe_environment(const std::vector<std::string>& arguments);

std::string utc_time();                           // "2026-11-22T11:41:43Z"
double age_seconds(const std::string& utc_time);  // negative if the text is not such a time

}  // namespace hyperx::train

#include "trainer/run/run_dir.h"

#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <thread>

#include "common/errors.h"
#include "common/files.h"
#include "common/host.h"
#include "common/json.h"
#include "common/log.h"
#include "common/version.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/run/run_state.h"

extern char** environ;  // NOLINT: the C library's

namespace hyperx::train {

namespace {

namespace fs = std::filesystem;

constexpr size_t kShownLetters = 200;  // of a path in a message
constexpr size_t kLongestName = 120;   // more than the longest path inside a run folder

bool tells_how_ranks_run(const std::string& variable) {
  for (const char* prefix : {"OMP_", "MKL_", "NCCL_", "CUDA_", "SLURM_JOB", "SLURM_NNODES", "SLURM_NTASKS", "OMPI_MCA_",
                             "HYPERX_", "HDF5_", "GOMP_", "MALLOC_", "LD_PRELOAD", "LD_LIBRARY_PATH"})
    if (variable.rfind(prefix, 0) == 0) return true;
  return false;
}

nlohmann::json variables() {
  nlohmann::json object = nlohmann::json::object();
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string::npos && tells_how_ranks_run(text))
      object[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return object;
}

// Values of the environment and paths may hold bytes that are not UTF-8.
std::string text_of(const nlohmann::json& object) {
  return object.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

// A file that cannot be parsed is kept under another name: the history of a run is never overwritten.
nlohmann::json earlier_starts(const std::string& path) {
  if (!fs::exists(path)) return nlohmann::json::array();
  nlohmann::json starts = parse_json_or_discard(read_file(path));
  if (starts.is_array()) return starts;
  log::warning("{}: damaged: kept as {}, and a new one is begun", path, set_aside(path, "damaged"));
  return nlohmann::json::array();
}

}  // namespace

std::string RunDir::results(int64_t step, const std::string& split) const {
  return path + "/results/" + checkpoint_name(step) + "/" + split;
}

bool RunDir::holds_run() const {
  std::error_code unreadable;
  return fs::exists(metrics(), unreadable) || fs::exists(checkpoints(), unreadable);
}

RunDir open_run_dir(const std::string& path, bool resume) {
  if (path.empty())
    throw UserError(ExitCode::kBadConfig, "run.dir is empty: name the run's folder, such as --run.dir runs/first");
  const RunDir run{without_slashes(path)};
  const auto cannot = [&](const std::string& why) {
    const std::string shown = run.path.size() > kShownLetters ? run.path.substr(0, kShownLetters) + "... (" +
                                                                    std::to_string(run.path.size()) + " letters)"
                                                              : run.path;
    return UserError(ExitCode::kCannotCreate, "run.dir " + shown + ": " + why + "; name another folder");
  };
  std::error_code error;
  // Of a name below it: too long a path must fail here, and not at the first checkpoint.
  if (fs::status(run.path + "/" + std::string(kLongestName, 'x'), error).type() == fs::file_type::none)
    throw cannot(error.message());
  const fs::file_status status = fs::status(run.path, error);
  if (fs::exists(status) && !fs::is_directory(status)) throw cannot("is a file");
  if (!resume && run.holds_run()) {
    std::string what = "holds a run";
    try {
      const RunState state = read_run_state(run);
      what += " (" + state.state + ", step " + std::to_string(state.step) + " of " + std::to_string(state.steps) + ")";
    } catch (const UserError&) {  // it was killed before it wrote its state
    }
    throw UserError(
        ExitCode::kCannotCreate,
        run.path + ": " + what + ". To continue it, add `--resume auto`; for a new run, name another --run.dir.");
  }
  make_folders(run.path);
  if (::access(run.path.c_str(), W_OK | X_OK) != 0)
    throw UserError(ExitCode::kCannotCreate, run.path + ": cannot be written to: " + errno_text());
  return run;
}

void remove_leftovers(const RunDir& run) {
  remove_dead_temporaries(run.path);
  remove_dead_temporaries(run.tensorboard());
  std::error_code gone;
  for (const auto& entry : fs::recursive_directory_iterator(run.path + "/results", gone))
    if (entry.is_directory(gone)) remove_dead_temporaries(entry.path().string());
}

std::string cores_of_process() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (::sched_getaffinity(0, sizeof mask, &mask) != 0) return "?";  // more cores than the mask can hold
  std::string text;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &mask)) continue;
    int last = core;
    while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &mask)) ++last;
    text += (text.empty() ? "" : ",") + std::to_string(core) + (last > core ? "-" + std::to_string(last) : "");
    core = last;
  }
  return text;
}

void write_run_description(const RunDir& run, const nlohmann::json& environment, const std::vector<HostRow>& hosts) {
  nlohmann::json starts = earlier_starts(run.environment());
  starts.push_back(environment);
  write_file_atomically(run.environment(), text_of(starts));
  std::string table = "rank\tlocal_rank\thost\tpid\tdevice\tthreads\tcores\n";
  for (const HostRow& row : hosts)
    table += std::to_string(row.rank) + "\t" + std::to_string(row.local_rank) + "\t" + row.host + "\t" +
             std::to_string(row.pid) + "\t" + row.device + "\t" + std::to_string(row.threads) + "\t" + row.cores + "\n";
  write_file_atomically(run.hosts(), table);
}

void add_to_start(const RunDir& run, const nlohmann::json& facts) {
  nlohmann::json starts = earlier_starts(run.environment());
  HYPERX_CHECK(!starts.empty(), "a start is described first");
  starts.back().merge_patch(facts);
  write_file_atomically(run.environment(), text_of(starts));
}

nlohmann::json describe_environment(const std::vector<std::string>& arguments) {
  nlohmann::json libraries = nlohmann::json::object();
  for (const auto& [name, fact] : build_facts()) libraries[name] = fact;
  struct utsname system {};
  if (::uname(&system) != 0) throw SystemError("uname: " + errno_text());
  std::error_code error;
  return {{"time", utc_time()},
          {"hyperx", std::string(version()) + " (" + std::string(git_revision()) + ")"},
          {"build", libraries},
          {"host", host_name()},
          {"kernel", std::string(system.sysname) + " " + system.release + " " + system.machine},
          {"cpu", cpu_capability()},
          {"hardware_threads", std::thread::hardware_concurrency()},
          {"folder", fs::current_path(error).string()},
          {"command_line", arguments},
          {"variables", variables()}};
}

std::string utc_time() {
  const std::time_t now = std::time(nullptr);
  struct tm parts {};
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", ::gmtime_r(&now, &parts));
  return text;
}

double age_seconds(const std::string& text) {
  struct tm parts {};
  const char* const end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (end == nullptr || *end != '\0') return -1;
  return std::max(0.0, std::difftime(std::time(nullptr), ::timegm(&parts)));
}

}  // namespace hyperx::train

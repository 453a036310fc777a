#include "sweep/pool.h"

#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <iostream>
#include <memory>
#include <sstream>

#include "common/clock.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/line_file.h"
#include "common/log.h"
#include "common/progress.h"
#include "common/quoting.h"
#include "common/signals.h"
#include "common/text_table.h"
#include "sweep/process.h"
#include "sweep/row_set.h"
#include "sweep/row_status.h"
#include "trainer/run/run_lock.h"

namespace hyperx::sweep {
namespace {

constexpr int kUsageEnd = 128;  // exit codes above: 128 + a signal
constexpr timespec kTurn{0, 500'000'000};

enum class Result { kDone, kSaved, kElsewhere, kFailed };

struct Ended {
  int64_t row = 0;
  Result result = Result::kDone;
  int code = 0;
  std::string reason;
};

// A row under way.
struct Job {
  int64_t row = 0;
  size_t slot = 0;
  std::deque<Stage> stages;  // the first one runs
  pid_t process = -1;
  std::unique_ptr<train::RunLock> lock;  // while it evaluates: a training has its own
  Clock::time_point began = Clock::now();
};

std::vector<std::string> parts_of(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream text(list);
  for (std::string part; std::getline(text, part, ',');) parts.push_back(part);
  return parts;
}

// Its last line that says something.
std::string last_line(const std::string& path) {
  std::string last;
  try {
    std::istringstream lines(read_file(path));
    for (std::string line; std::getline(lines, line);)
      if (line.find_first_not_of(" \t\r") != std::string::npos) last = line;
  } catch (const UserError&) {  // there is none
  }
  return last;
}

class Pool {
 public:
  Pool(const Plan& plan, const std::vector<int64_t>& rows, const PoolOptions& options)
      : plan_(plan), options_(options), waiting_(rows.begin(), rows.end()) {
    for (size_t slot = 0; slot < slots(); ++slot) free_.push_back(slot);
    sigemptyset(&signals_);
    for (const int signal : kStopSignals) sigaddset(&signals_, signal);
    sigaddset(&signals_, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &signals_, nullptr);
  }

  int run() {
    const auto total = std::ssize(waiting_);
    if (options_.logs) {
      make_folders(plan_.folder + "/logs");
      progress_ = std::make_unique<Progress>("sweep " + plan_.name(), total, "rows");
    }
    while ((!waiting_.empty() && !stopping_) || !jobs_.empty()) {
      while (!waiting_.empty() && !stopping_ && !free_.empty()) begin_next();
      if (!jobs_.empty()) wait();
      if (progress_) progress_->update(std::ssize(ended_));
    }
    progress_.reset();
    return conclude();
  }

 private:
  size_t slots() const { return static_cast<size_t>(options_.jobs); }

  void begin_next() {
    Job job;
    job.row = waiting_.front();
    waiting_.pop_front();
    try {
      const std::vector<Stage> stages = stages_left(plan_, job.row, options_.only);
      job.stages.assign(stages.begin(), stages.end());
      if (stages.empty()) {
        if (!options_.logs) log::info("row {} is done already: {}", job.row, plan_.run_folder(job.row));
        return end({job.row, Result::kDone, 0, ""}, "done already");
      }
      job.slot = free_.back();
      begin_stage(job);
      free_.pop_back();
      jobs_.push_back(std::move(job));
    } catch (const std::exception& error) {
      end(failure(job.row, error));
    }
  }

  void begin_stage(Job& job) {
    const Stage& stage = job.stages.front();
    Program program;
    Ranks ranks = options_.ranks;
    ranks.share_machine = slots() > 1;
    program.words = command_of(plan_, job.row, stage, ranks);
    if (options_.logs) {
      program.log = plan_.log(job.row);
      LineFile log(program.log);
      log.add("---- " + train::utc_time() + " " + shell_line(program.words) + "\n");
      log.flush();
    }
    if (slots() > 1) share_out(job, program);
    if (stage.evaluation != nullptr)
      job.lock = std::make_unique<train::RunLock>(train::RunDir{plan_.run_folder(job.row)});
    job.process = start(program);
  }

  // Cores and GPUs of the row's slot.
  void share_out(const Job& job, Program& program) const {
    program.cores = share_of(cores_, job.slot, slots());
    // SLURM's number of tasks is that of the allocation; a row is started on its own.
    for (const char* name : {"SLURM_NTASKS", "SLURM_NPROCS", "SLURM_STEP_NUM_TASKS"})
      program.variables.emplace_back(name, std::nullopt);
    const char* const visible = std::getenv("CUDA_VISIBLE_DEVICES");
    const std::vector<std::string> gpus = parts_of(visible == nullptr ? "" : visible);
    if (gpus.empty()) return;
    std::vector<int> places(gpus.size());
    for (size_t i = 0; i < places.size(); ++i) places[i] = static_cast<int>(i);
    std::string mine;
    for (const int place : share_of(places, job.slot, slots()))
      mine += (mine.empty() ? "" : ",") + gpus[static_cast<size_t>(place)];
    program.variables.emplace_back("CUDA_VISIBLE_DEVICES", mine);
  }

  // Until a row ends, a signal comes or half a second is over.
  void wait() {
    const int signal = ::sigtimedwait(&signals_, nullptr, &kTurn);
    if (signal > 0 && signal != SIGCHLD) stop(signal);
    for (size_t i = 0; i < jobs_.size();) {
      int status = 0;
      if (::waitpid(jobs_[i].process, &status, WNOHANG) != jobs_[i].process) {
        ++i;
        continue;
      }
      Job job = std::move(jobs_[i]);
      jobs_.erase(jobs_.begin() + static_cast<ptrdiff_t>(i));
      advance(std::move(job), code_of(status));
    }
  }

  void stop(int signal) {
    const bool at_once = stopping_ && signal == SIGINT;
    if (!stopping_)
      log::info("stopping: {} rows save and end{}", jobs_.size(),
                signal == SIGINT ? "; Ctrl-C again ends them at once" : "");
    stopping_ = true;
    // launch/run hands SIGTERM to a training as a request to save, and SIGQUIT as one to end.
    for (const Job& job : jobs_) ::kill(job.process, at_once ? SIGQUIT : SIGTERM);
  }

  // A stage of the row has ended.
  void advance(Job job, int code) {
    job.lock.reset();
    const Stage stage = job.stages.front();
    try {
      if (code != 0) return finish(job, ended_with(job, code));
      if (stage.evaluation != nullptr) note_evaluated(plan_, job.row, *stage.evaluation);
      job.stages.pop_front();
      if (job.stages.empty()) return finish(job, {job.row, Result::kDone, 0, ""});
      if (options_.ranks.launched) log::info("{} remains: run the same line again", job.stages.front().name());
      if (stopping_ || options_.ranks.launched)
        return finish(job, {job.row, Result::kSaved, static_cast<int>(ExitCode::kSavedRunAgain), ""});
      begin_stage(job);
      jobs_.push_back(std::move(job));
    } catch (const std::exception& error) {
      finish(job, failure(job.row, error));
    }
  }

  Ended ended_with(const Job& job, int code) const {
    const RowStatus status = status_of(plan_, job.row);
    Ended ended{job.row, Result::kFailed, code, status.reason};
    const bool by_our_signal = stopping_ && code > kUsageEnd;
    if (code == static_cast<int>(ExitCode::kSavedRunAgain) || by_our_signal) {
      ended.result = Result::kSaved;
    } else if (code == static_cast<int>(ExitCode::kCannotCreate) && status.state == RowState::kRunning) {
      ended.result = Result::kElsewhere;
    } else if (ended.reason.empty()) {
      ended.reason = code > kUsageEnd ? "killed by signal " + std::to_string(code - kUsageEnd)
                     : options_.logs  ? last_line(plan_.log(job.row))
                                      : "";
    }
    return ended;
  }

  // A row that this process could not start, or whose evaluation it could not note.
  static Ended failure(int64_t row, const std::exception& error) {
    Ended ended{row, Result::kFailed, static_cast<int>(ExitCode::kIo), error.what()};
    if (const auto* const user = dynamic_cast<const UserError*>(&error)) ended.code = static_cast<int>(user->code());
    if (const auto* const system = dynamic_cast<const SystemError*>(&error))
      ended.code = static_cast<int>(system->code());
    const bool locked = ended.reason.find("is running in this folder") != std::string::npos;
    if (locked && ended.code == static_cast<int>(ExitCode::kCannotCreate)) ended.result = Result::kElsewhere;
    return ended;
  }

  void finish(const Job& job, Ended ended) {
    free_.push_back(job.slot);
    end(std::move(ended), format_duration(seconds_since(job.began)));
  }

  void end(Ended ended, const std::string& remark = "") {
    static constexpr const char* kWords[] = {"done", "saved", "runs elsewhere", "failed"};
    if (options_.logs) {
      const std::string code = ended.result == Result::kFailed ? " with code " + std::to_string(ended.code) : "";
      log::info("row {} {}{}{} ({})", ended.row, kWords[static_cast<int>(ended.result)], code,
                remark.empty() ? "" : ", " + remark, plan_.describe(ended.row));
    }
    ended_.push_back(std::move(ended));
  }

  int conclude() const {
    std::vector<int64_t> rows[4];
    int worst = 0;
    for (const Ended& each : ended_) {
      rows[static_cast<int>(each.result)].push_back(each.row);
      if (each.result == Result::kFailed) worst = std::max(worst, each.code);
    }
    for (auto& each : rows) std::sort(each.begin(), each.end());
    const auto& saved = rows[static_cast<int>(Result::kSaved)];
    const auto& elsewhere = rows[static_cast<int>(Result::kElsewhere)];
    if (options_.logs) print_summary(rows);
    if (!saved.empty() || !waiting_.empty()) return static_cast<int>(ExitCode::kSavedRunAgain);
    return worst == 0 && !elsewhere.empty() ? static_cast<int>(ExitCode::kCannotCreate) : worst;
  }

  void print_summary(const std::vector<int64_t> (&rows)[4]) const {
    const auto list = [](const std::vector<int64_t>& numbers) {
      return std::to_string(numbers.size()) + (numbers.empty() ? "" : " (" + row_set_text(numbers) + ")");
    };
    std::vector<int64_t> waiting(waiting_.begin(), waiting_.end());
    std::cout << "done " << list(rows[0]) << ", saved " << list(rows[1]) << ", not started " << list(waiting)
              << ", running elsewhere " << list(rows[2]) << ", failed " << list(rows[3]) << "\n";
    if (rows[3].empty()) return;
    TextTable table({"row", "code", "reason", "log"});
    for (const Ended& each : ended_)
      if (each.result == Result::kFailed)
        table.add({std::to_string(each.row), std::to_string(each.code), each.reason, plan_.log(each.row)});
    table.print(std::cout);
  }

  const Plan& plan_;
  const PoolOptions options_;
  std::deque<int64_t> waiting_;
  std::vector<Job> jobs_;
  std::vector<Ended> ended_;
  std::vector<size_t> free_;  // slots
  const std::vector<int> cores_ = cores_of_this_process();
  sigset_t signals_{};
  bool stopping_ = false;
  std::unique_ptr<Progress> progress_;
};

bool is_first_rank() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"})
    if (const char* const rank = std::getenv(name)) return std::string(rank) == "0";
  return true;
}

// launch/run starts the program of its own repository unless this is set.
void name_this_build() {
  const std::filesystem::path program(this_program());
  ::setenv("HYPERX_BUILD", program.parent_path().parent_path().c_str(), 1);
}

}  // namespace

int run_pool(const Plan& plan, const std::vector<int64_t>& rows, const PoolOptions& options) {
  name_this_build();
  if (options.ranks.launched)
    throw UserError(ExitCode::kUsage,
                    "--rows starts the ranks of many rows itself: start it once, without mpirun or srun (in a batch "
                    "script as it is), and name the ranks of a row with --ranks");
  return Pool(plan, rows, options).run();
}

int run_row(const Plan& plan, int64_t row, const PoolOptions& options) {
  name_this_build();
  const std::vector<Stage> stages = stages_left(plan, row, options.only);
  if (options.ranks.launched && options.only == Only::kAll && !plan.evaluations.empty())
    throw UserError(ExitCode::kUsage,
                    "mpirun and srun can start ranks for one stage only: add `--only train`, then run the same line "
                    "with `--only evaluate`. Without them, --ranks N does both");
  if (!stages.empty()) {
    const Stage& stage = stages.front();
    const bool is_training = stage.evaluation == nullptr;
    // The first rank stays, to note that the row is evaluated.
    if (is_training ? stages.size() == 1 : options.ranks.launched && !is_first_rank())
      become(command_of(plan, row, stage, options.ranks), is_training);
  }
  PoolOptions alone = options;
  alone.jobs = 1;
  alone.logs = false;
  return Pool(plan, {row}, alone).run();
}

}  // namespace hyperx::sweep

#include "trainer/comm/watchdog.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <vector>

namespace hyperx::comm {
namespace {

constexpr std::chrono::seconds kReportLimit{10};                       // for on_failure: the disk may be what hangs
constexpr std::chrono::seconds kOtherReporterLimit{2 * kReportLimit};  // for the rank that reports

constexpr int kReaderPatienceMs = 2000;

int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Directly to standard error: the main thread may hold the log's lock forever. A reader that is stopped must not keep
// the job alive.
void write_line(const std::string& text) {
  const std::string line = text + "\n";
  pollfd reader{STDERR_FILENO, POLLOUT, 0};
  if (poll(&reader, 1, kReaderPatienceMs) == 0) return;
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

// On a network file system a line may be seen while it is only partly written: missing states are read again.
std::vector<std::optional<RankState>> read_states(const RankFiles& files) {
  auto states = files.read_all();
  for (int attempt = 0; attempt < 3; ++attempt) {
    if (std::all_of(states.begin(), states.end(), [](const auto& state) { return state.has_value(); })) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    const auto again = files.read_all();
    for (size_t rank = 0; rank < states.size(); ++rank) {
      if (!states[rank]) states[rank] = again[rank];
    }
  }
  return states;
}

}  // namespace

SectionLimits SectionLimits::of(const ParallelConfig& config) {
  const auto seconds = [](int value) { return std::chrono::milliseconds(std::chrono::seconds(value)); };
  return {seconds(config.start_limit_seconds), seconds(config.step_limit_seconds),
          seconds(config.checkpoint_limit_seconds), seconds(config.evaluation_limit_seconds)};
}

std::chrono::milliseconds SectionLimits::of(const std::string& section,
                                            std::optional<RankProgress::Clock::duration> step_time) const {
  if (section == "start") return start;
  if (section == "step") {
    if (step.count() > 0) return step;
    if (!step_time) return kFirstStepLimit;
    return std::max(kShortestStepLimit, std::chrono::duration_cast<std::chrono::milliseconds>(kStepTimes * *step_time));
  }
  if (section == "checkpoint") return checkpoint;
  HYPERX_CHECK(section == "evaluation", "no section '" + section + "'");
  return evaluation;
}

std::chrono::milliseconds SectionLimits::shortest() const {
  return std::min({start, step.count() > 0 ? step : kShortestStepLimit, checkpoint, evaluation});
}

Watchdog::Watchdog(const RankInfo& info, RankProgress& progress, WatchdogOptions options)
    : info_(info), progress_(progress), options_(std::move(options)), files_(options_.folder, info_) {
  const auto shortest = options_.limits.shortest() / 4;
  publish_every_ = std::min(options_.publish_every, shortest);
  look_every_ = std::min(options_.look_every, shortest);
  progress_.beat();
  thread_ = std::thread([this] { run(); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
  files_.remove_own();
}

Section Watchdog::enter(const std::string& section, int64_t step) {
  options_.limits.of(section);  // detects an unknown name here rather than in the thread
  return Section(progress_, section, step);
}

void Watchdog::watch(Communicator* communicator) {
  const std::lock_guard lock(mutex_);
  communicator_ = communicator;
}

void Watchdog::run() {
  using Clock = RankProgress::Clock;
  auto next_publish = Clock::now(), since = next_publish, looked = next_publish;
  Clock::duration stopped{};  // while the section has made no progress
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const RankProgress::Place place = progress_.now();
    const auto now = Clock::now();
    if (place.since != since) stopped = {};
    if (now - looked > 2 * look_every_)
      stopped += now - looked;  // this process was stopped, and so was the main thread
    since = place.since;
    looked = now;
    if (now >= next_publish) {
      publish(place);
      next_publish = now + publish_every_;
    }
    const auto spent = now - place.since - stopped;
    if (spent > options_.limits.of(place.section, progress_.step_time())) expire(place, spent);
    wake_.wait_for(lock, look_every_);
  }
}

void Watchdog::publish(const RankProgress::Place& place) {
  RankState state{
      .job = info_.job, .rank = info_.rank, .host = info_.host(), .section = place.section, .step = place.step};
  state.collective_name = "none";
  if (communicator_ != nullptr) {
    const CollectiveTrace& trace = communicator_->trace();
    state.collective = trace.number;
    state.collective_name = trace.name;
    state.inside = trace.inside;
  }
  state.written_seconds = unix_seconds();
  if (files_.publish(state) || warned_) return;
  warned_ = true;
  write_line("warning: cannot write rank-" + std::to_string(info_.rank) + ".alive in " + options_.folder + ": " +
             errno_text() + "; a hanging rank may not be named");
}

void Watchdog::expire(const RankProgress::Place& place, RankProgress::Clock::duration spent) {
  publish(place);
  if (!files_.claim_report()) {  // another rank writes the report; our exit follows from its failure
    std::this_thread::sleep_for(kOtherReporterLimit);
    _exit(options_.exit_code);
  }
  const auto waited = std::chrono::duration_cast<std::chrono::seconds>(spent).count();
  FailureReport report{.rank = info_.rank, .host = info_.host(), .section = place.section, .step = place.step};
  report.exit_code = options_.exit_code;
  report.reason = "no progress in section " + place.section + " for " + std::to_string(waited) + " s" +
                  (place.step >= 0 ? " at step " + std::to_string(place.step) : "");
  if (info_.size > 1 && !options_.folder.empty()) {
    const auto stale = std::chrono::duration_cast<std::chrono::seconds>(3 * publish_every_).count() + 2;
    report.reason += ": " + describe_laggards(read_states(files_), info_.hosts, unix_seconds(), stale);
  }
  write_line("rank " + std::to_string(info_.rank) + " on host " + info_.host() + ": " + report.reason);
  if (communicator_ != nullptr) communicator_->request_abort();
  if (options_.on_failure) {
    std::atomic<bool> done{false};
    std::thread writer([&] {
      try {
        options_.on_failure(report);
      } catch (const std::exception& error) {
        write_line(std::string("the failure could not be recorded: ") + error.what());
      }
      done = true;
    });
    writer.detach();
    const auto end = RankProgress::Clock::now() + kReportLimit;
    while (!done && RankProgress::Clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  _exit(options_.exit_code);
}

}  // namespace hyperx::comm

#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

namespace hyperx::comm {

// What this rank is doing: the main thread sets it through Section; the watchdog's thread and error reports read it.
class RankProgress {
 public:
  using Clock = std::chrono::steady_clock;
  struct Place {
    std::string section = "start";           // start, step, checkpoint, evaluation
    int64_t step = -1;                       // -1: none yet
    Clock::time_point since = Clock::now();  // time of entry, or of the latest sign of progress
    Clock::time_point entered = since;       // time of entry, later by the time spent in inner sections
  };

  Place now() const;
  // Where the exception in flight left its section; now() without one.
  Place failure() const;
  void beat();  // reports progress within the section: its time limit restarts
  // Mean time of the last kStepsMeasured sections "step" or so; none until kStepsMeasured of them are done.
  std::optional<Clock::duration> step_time() const;
  static constexpr int64_t kStepsMeasured = 16;

 private:
  friend class Section;
  void enter(const std::string& section, int64_t step);
  void leave(const Place& before, bool failing);

  mutable std::mutex mutex_;
  Place place_;
  Place failed_;
  bool has_failed_ = false;
  int64_t steps_done_ = 0;
  Clock::duration step_time_{};
};

// A guard: the rank is in this section during the guard's lifetime, then again in the previous one, whose time limit
// restarts.
class Section {
 public:
  Section(RankProgress& progress, const std::string& name, int64_t step);
  ~Section();
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;

 private:
  RankProgress& progress_;
  RankProgress::Place before_;
  int exceptions_at_start_;
};

}  // namespace hyperx::comm

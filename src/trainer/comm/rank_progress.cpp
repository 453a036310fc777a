#include "trainer/comm/rank_progress.h"

#include <algorithm>
#include <exception>

namespace hyperx::comm {

RankProgress::Place RankProgress::now() const {
  const std::lock_guard lock(mutex_);
  return place_;
}

RankProgress::Place RankProgress::failure() const {
  const std::lock_guard lock(mutex_);
  return has_failed_ ? failed_ : place_;
}

void RankProgress::enter(const std::string& section, int64_t step) {
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = Clock::now();
  place_ = {section, step, now, now};
  has_failed_ = false;  // an earlier exception was handled
}

void RankProgress::leave(const Place& before, bool failing) {
  const std::lock_guard lock(mutex_);
  if (failing && !has_failed_) {  // the innermost section is left first, and that is the place of failure
    has_failed_ = true;
    failed_ = place_;
  }
  const Clock::time_point now = Clock::now();
  if (place_.section == "step" && !failing) {
    steps_done_ += 1;
    step_time_ += (now - place_.entered - step_time_) / std::min(steps_done_, kStepsMeasured);
  }
  place_ = {before.section, std::max(before.step, place_.step), now, before.entered + (now - place_.entered)};
}

std::optional<RankProgress::Clock::duration> RankProgress::step_time() const {
  const std::lock_guard lock(mutex_);
  return steps_done_ < kStepsMeasured ? std::nullopt : std::optional(step_time_);
}

void RankProgress::beat() {
  const std::lock_guard lock(mutex_);
  place_.since = Clock::now();
}

Section::Section(RankProgress& progress, const std::string& name, int64_t step)
    : progress_(progress), before_(progress.now()), exceptions_at_start_(std::uncaught_exceptions()) {
  progress_.enter(name, step);
}

Section::~Section() { progress_.leave(before_, std::uncaught_exceptions() > exceptions_at_start_); }

}  // namespace hyperx::comm

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
  place_ = {section, step, Clock::now()};
  has_failed_ = false;  // an earlier exception was handled
}

void RankProgress::leave(const Place& before, bool failing) {
  const std::lock_guard lock(mutex_);
  if (failing && !has_failed_) {  // the innermost section is left first, and that is the place of failure
    has_failed_ = true;
    failed_ = place_;
  }
  place_ = {before.section, std::max(before.step, place_.step), Clock::now()};
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

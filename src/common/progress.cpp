#include "common/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "common/clock.h"
#include "common/log.h"

namespace hyperx {
namespace {

constexpr double kFirstLineSeconds = 2;
constexpr double kTerminalSeconds = 2;
constexpr double kFileSeconds = 10;

// Three significant digits, and the power of 1000 that leaves at most three before the point.
std::string scaled(double value, const char* const (&suffixes)[6]) {
  size_t power = 0;
  // Values from 999.5 up would round to four digits.
  while (std::abs(value) >= 999.5 && power + 1 < std::size(suffixes)) {
    value /= 1000;
    ++power;
  }
  const double size = std::abs(value);
  const bool is_whole = power == 0 && value == std::floor(value);
  const int digits = is_whole || size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f}{}", value, digits, suffixes[power]);
}

}  // namespace

std::string format_count(double count) {
  static constexpr const char* kSuffixes[] = {"", "k", "M", "G", "T", "P"};
  return scaled(count, kSuffixes);
}

std::string format_bytes(double bytes) {
  static constexpr const char* kSuffixes[] = {" B", " kB", " MB", " GB", " TB", " PB"};
  return scaled(bytes, kSuffixes);
}

std::string format_duration(double seconds) {
  constexpr double kDay = 24 * 3600;
  if (seconds >= 100 * kDay) return fmt::format("{:.0f} days", seconds / kDay);
  const auto whole = static_cast<int64_t>(std::max(0.0, seconds));
  const int64_t hours = whole / 3600, minutes = whole / 60 % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
  return fmt::format("{}:{:02}", minutes, whole % 60);
}

Progress::Progress(std::string what, int64_t total, std::string unit)
    : Progress(std::move(what), total, std::move(unit), Options{}) {}

Progress::Progress(std::string what, int64_t total, std::string unit, Options options)
    : what_(std::move(what)), total_(total), unit_(std::move(unit)), options_(std::move(options)) {
  if (options_.output == nullptr) {
    options_.output = &std::cerr;
    options_.terminal = isatty(STDERR_FILENO) == 1;
  }
  if (!options_.now) options_.now = [] { return clock_seconds(CLOCK_MONOTONIC); };
  start_ = last_shown_ = options_.now();
}

Progress::~Progress() { finish(); }

void Progress::update(int64_t done) {
  const std::lock_guard lock(mutex_);
  done_ = done;
  show(options_.now(), false);
}

void Progress::advance(int64_t more) {
  const std::lock_guard lock(mutex_);
  done_ += more;
  show(options_.now(), false);
}

void Progress::finish() {
  const std::lock_guard lock(mutex_);
  if (finished_) return;
  finished_ = true;
  if (shown_width_ > 0) show(options_.now(), true);
}

void Progress::show(double now, bool is_last) {
  const double pause = shown_width_ == 0 ? kFirstLineSeconds : options_.terminal ? kTerminalSeconds : kFileSeconds;
  if (options_.quiet || (!is_last && (finished_ || now - last_shown_ < pause))) return;
  std::string text = line(now);
  const size_t width = text.size();
  if (options_.terminal) {
    // Spaces erase the rest of a longer previous line.
    text = "\r" + text + std::string(shown_width_ > width ? shown_width_ - width : 0, ' ') + (is_last ? "\n" : "");
  } else {
    text += "\n";
  }
  *options_.output << text << std::flush;
  options_.output->clear();  // a failed write (a full disk) must not silence what is written later
  last_shown_ = now;
  shown_width_ = width;
}

std::string Progress::line(double now) const {
  const double elapsed = now - start_;
  const double rate = elapsed > 0 ? static_cast<double>(done_) / elapsed : 0;
  std::string text = total_ > 0 ? fmt::format("{} {}/{} {}", what_, done_, total_, unit_)
                                : fmt::format("{} {} {}", what_, done_, unit_);
  text += fmt::format(" | {} {}/s | elapsed {}", format_count(rate >= 100 ? std::round(rate) : rate), unit_,
                      format_duration(elapsed));
  if (total_ > done_ && rate > 0) {
    text += " left " + format_duration(static_cast<double>(total_ - done_) / rate);
  }
  return text;
}

}  // namespace hyperx

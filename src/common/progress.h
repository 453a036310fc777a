#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <mutex>
#include <string>

namespace hyperx {

std::string format_count(double count);       // 950, 41.2k, 3.10M: three significant digits, powers of 1000
std::string format_bytes(double bytes);       // 950 B, 41.2 kB, 3.10 GB: powers of 1000
std::string format_duration(double seconds);  // 0:21, 12:05, 1:02:03; rounded down to seconds; from 100 days "120 days"

// Progress of a long operation: "tokenise 12300/100000 sentences | 41.2k sentences/s | elapsed 0:21 left 2:29". On a
// terminal the line is redrawn in place every 2 s; elsewhere, as in a log file, a whole line is written every 10 s. An
// operation of under 2 s prints nothing. update() and advance() may be called by many threads, as often as needed.
class Progress {
 public:
  struct Options {
    bool quiet = false;              // print nothing: ranks other than 0
    std::ostream* output = nullptr;  // nullptr: stderr
    bool terminal = false;           // only with `output`; for stderr the system is asked
    std::function<double()> now;     // monotonic clock, in seconds; empty: the steady clock
  };

  Progress(std::string what, int64_t total, std::string unit);  // total 0: unknown, so no remaining time is shown
  Progress(std::string what, int64_t total, std::string unit, Options options);
  ~Progress();  // calls finish()
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(int64_t done);  // units done since the start
  void advance(int64_t more = 1);
  void finish();  // prints the final count if lines were printed before; later calls do nothing

 private:
  void show(double now, bool is_last);
  std::string line(double now) const;

  const std::string what_;
  const int64_t total_;
  const std::string unit_;
  Options options_;
  std::mutex mutex_;
  int64_t done_ = 0;
  double start_ = 0;  // seconds
  double last_shown_ = 0;
  size_t shown_width_ = 0;  // width of the line on the terminal; 0: nothing was printed
  bool finished_ = false;
};

}  // namespace hyperx

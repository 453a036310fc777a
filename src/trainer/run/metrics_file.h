#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

// metrics.jsonl: one object per line, each with "event" and "step".
namespace hyperx::train {

// Appends whole lines.
class MetricsFile {
 public:
  // Removes what a killed process wrote after its last checkpoint: an incomplete last line, and every line whose "step"
  // is past `resume_step` (those steps are run again). A new run passes 0. Atomic: the file is replaced, or stays
  // unchanged.
  MetricsFile(const std::string& path, int64_t resume_step);
  ~MetricsFile();
  MetricsFile(const MetricsFile&) = delete;
  MetricsFile& operator=(const MetricsFile&) = delete;

  // Adds a line, to be written by flush(). Numbers that are not finite become null.
  void add(const nlohmann::json& object);
  // Writes all pending lines in one call. SystemError (74): they stay pending, and the file ends with a complete line.
  void flush();
  void write(const nlohmann::json& object) { add(object), flush(); }
  int64_t lines_waiting() const { return lines_waiting_; }
  int64_t lines_cut() const { return lines_cut_; }

 private:
  std::string path_;
  int fd_ = -1;
  int64_t lines_cut_ = 0, lines_waiting_ = 0;
  std::string waiting_;
  int64_t torn_at_ = -1;  // start of an incomplete line that could not be removed
};

// Read from the end of the file, for `status`.
struct MetricsTail {
  nlohmann::json last_step;                     // null: none yet
  std::vector<nlohmann::json> last_evaluation;  // one line per pair, all of one step; empty: none yet
  double steps_per_second = 0;                  // over the last steps, from their "seconds"; 0: unknown
  double tokens_per_second = 0;
};
MetricsTail read_metrics_tail(const std::string& path);

}  // namespace hyperx::train

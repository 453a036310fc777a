#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

// metrics.jsonl: an object a line, each with "event" and "step".
namespace hyperx::train {

// Appends whole lines.
class MetricsFile {
 public:
  // Cuts off what a killed process left behind its last checkpoint: a torn last line, and every line whose "step" is
  // past `resume_step` (those steps are done again). A new run passes 0. Atomic: the file is replaced, or stays as it
  // was.
  MetricsFile(const std::string& path, int64_t resume_step);
  ~MetricsFile();
  MetricsFile(const MetricsFile&) = delete;
  MetricsFile& operator=(const MetricsFile&) = delete;

  // Adds a line, which waits for flush(). Numbers that are not finite become null.
  void add(const nlohmann::json& object);
  // Writes all lines that wait, by one call. SystemError (74): they wait on, and the file ends with a whole line.
  void flush();
  void write(const nlohmann::json& object) { add(object), flush(); }
  int64_t lines_waiting() const { return lines_waiting_; }
  int64_t lines_cut() const { return lines_cut_; }

 private:
  std::string path_;
  int fd_ = -1;
  int64_t lines_cut_ = 0, lines_waiting_ = 0;
  std::string waiting_;
  int64_t torn_at_ = -1;  // where a torn line begins that could not be cut off
};

// What `status` shows, read from the end of the file.
struct MetricsTail {
  nlohmann::json last_step;                     // null: none yet
  std::vector<nlohmann::json> last_evaluation;  // a line a pair, all of one step; empty: none yet
  double steps_per_second = 0;                  // over the last steps, by their "seconds"; 0: not known
  double tokens_per_second = 0;
};
MetricsTail read_metrics_tail(const std::string& path);

}  // namespace hyperx::train

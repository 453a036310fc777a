#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/digest.h"
#include "common/line_file.h"

// metrics.jsonl: one object per line, each with "event" and "step".
namespace hyperx::train {

// The first bytes of the file, as a checkpoint's manifest records them.
struct MetricsMark {
  int64_t bytes = 0;
  std::string xxh128;
};

// Appends whole lines.
class MetricsFile {
 public:
  // Removes what a killed process wrote after its last checkpoint: an incomplete last line, and every line whose "step"
  // is past `resume_step` (those steps are run again). A new run passes 0. Atomic: the file is replaced, or stays
  // unchanged. Damaged lines are removed, too, and the old file is then kept as metrics.jsonl.damaged.
  // `mark`: what the checkpoint of `resume_step` recorded. UserError (74): the file cannot be read now.
  MetricsFile(const std::string& path, int64_t resume_step, const std::optional<MetricsMark>& mark = std::nullopt);

  // Adds a line, to be written by flush(). Numbers that are not finite become null.
  void add(const nlohmann::json& object);
  // Writes all pending lines in one call. SystemError (74): they stay pending, and the file ends with a complete line.
  void flush() { file_->flush(); }
  void write(const nlohmann::json& object) { add(object), flush(); }
  int64_t lines_waiting() const { return file_->lines_waiting(); }
  int64_t lines_cut() const { return lines_cut_; }  // past resume_step, or incomplete
  // What is wrong with the lines up to resume_step, such as "the lines of steps 5-7 are missing". Those steps are not
  // run again.
  const std::vector<std::string>& problems() const { return problems_; }
  MetricsMark mark() const { return {bytes_, digest_.hex()}; }  // of all lines so far, also those that wait

 private:
  void count(std::string_view text);

  std::optional<LineFile> file_;
  int64_t lines_cut_ = 0;
  std::vector<std::string> problems_;
  int64_t bytes_ = 0;
  Xxh128 digest_;
};

// Read from the last 8 MB of the file, for `status`.
struct MetricsTail {
  nlohmann::json last_step;                     // null: none yet
  std::vector<nlohmann::json> last_evaluation;  // one line per pair, all of one step; empty: none yet
  double steps_per_second = 0;                  // over the last steps, from their "seconds"; 0: unknown
  double tokens_per_second = 0;
};
MetricsTail read_metrics_tail(const std::string& path);

}  // namespace hyperx::train

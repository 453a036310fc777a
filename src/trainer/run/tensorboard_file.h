#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "common/line_file.h"
#include "trainer/run/run_dir.h"

// RUN/tensorboard/events.out.tfevents.*: the numbers of metrics.jsonl, as TensorBoard reads them.
namespace hyperx::train {

class TensorboardFile {
 public:
  // Writes a new file with all that metrics.jsonl holds, and then removes those of earlier starts: no step is there
  // twice, and a run that began without TensorBoard gets its history. metrics.jsonl records no times of day: those of
  // its lines follow from the seconds of the steps, back from its last change. UserError or SystemError: it cannot be
  // read or written.
  explicit TensorboardFile(const RunDir& run);

  // Adds a line of metrics.jsonl, to be written by flush(). `wall_time`: seconds since 1970. Steps give loss,
  // learning_rate, grad_norm, spread and tokens_per_second; evaluations each metric as pos:en/accuracy, and
  // pos:en/novel/accuracy. Others give nothing.
  void add(const nlohmann::json& line, double wall_time) { file_->add(event_of(line, wall_time)); }
  void flush() { file_->flush(); }  // SystemError (74): what was added stays pending

  // The record of a line; empty: the line has no numbers to show.
  static std::string event_of(const nlohmann::json& line, double wall_time);

 private:
  std::unique_ptr<LineFile> file_;
};

double wall_time_now();  // seconds since 1970

}  // namespace hyperx::train

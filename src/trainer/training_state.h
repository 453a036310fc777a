#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace hyperx::train {

// Everything except tensors that a run needs to resume as if it had not stopped. Anything else (outside the
// configuration) must not affect training: batches, masks and dropout are functions of (seed, step).
struct TrainingState {
  int64_t step = 0;           // updates done, including skipped ones
  int64_t skipped_steps = 0;  // steps whose gradient was not finite
  int64_t skipped_in_a_row = 0;
  std::vector<int64_t> cursors;  // of the mixture before `step`: only compared on resume
  int64_t evaluated_step = -1;   // of the newest evaluation
  std::optional<double> best_score;
  std::string best_of;  // what best_score measures (BestScore::of); empty: from a version that did not record it
  std::vector<std::pair<std::string, int64_t>> update_counts;  // of the optimizer

  // Whether `score` is the best so far for what `of` names; records it if so. A score of something else starts a new
  // series.
  bool take_score(double score, const std::string& of);

  nlohmann::json to_json() const;
  // UserError (65) naming `origin` if a field is missing.
  static TrainingState from_json(const nlohmann::json& object, const std::string& origin);
};

}  // namespace hyperx::train

#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace hyperx::train {

// Everything beside tensors that a run needs to go on as if it had not stopped. What is not here (and not in the
// configuration) must not change the training: batches, masks and dropout are functions of (seed, step).
struct TrainingState {
  int64_t step = 0;           // updates done, skipped ones counted
  int64_t skipped_steps = 0;  // with a gradient that was not finite
  int64_t skipped_in_a_row = 0;
  std::vector<int64_t> cursors;  // of the mixture before `step`: only checked on resume
  int64_t evaluated_step = -1;   // of the newest evaluation
  std::optional<double> best_score;
  std::string best_of;  // what best_score is the score of (Selection::Score); empty: a version that did not say so
  std::vector<std::pair<std::string, int64_t>> update_counts;  // of the optimizer

  // Whether `score` is the best so far of what `of` names. A score of something else than before starts anew.
  bool take_score(double score, const std::string& of);

  nlohmann::json to_json() const;
  // UserError (65) naming `origin` where a field is missing.
  static TrainingState from_json(const nlohmann::json& object, const std::string& origin);
};

}  // namespace hyperx::train

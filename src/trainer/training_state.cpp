#include "trainer/training_state.h"

#include <cmath>

#include "common/errors.h"
#include "common/log.h"

namespace hyperx::train {

using nlohmann::json;

bool TrainingState::take_score(double score, const std::string& of) {
  if (best_score && !best_of.empty() && best_of != of) {
    log::info("the best score so far, {:.4f}, was of {}; from here on it is of {}", *best_score, best_of, of);
    best_score.reset();
  }
  best_of = of;
  if (!std::isfinite(score) || (best_score && score <= *best_score)) return false;
  best_score = score;
  return true;
}

json TrainingState::to_json() const {
  json counts = json::object();
  for (const auto& [name, count] : update_counts) counts[name] = count;
  return {
      {"step", step},       {"skipped_steps", skipped_steps},   {"skipped_in_a_row", skipped_in_a_row},
      {"cursors", cursors}, {"evaluated_step", evaluated_step}, {"best_score", best_score ? json(*best_score) : json()},
      {"best_of", best_of}, {"update_counts", counts}};
}

TrainingState TrainingState::from_json(const json& object, const std::string& origin) {
  TrainingState state;
  try {
    state.step = object.at("step");
    state.skipped_steps = object.at("skipped_steps");
    state.skipped_in_a_row = object.at("skipped_in_a_row");
    state.cursors = object.at("cursors").get<std::vector<int64_t>>();
    state.evaluated_step = object.value("evaluated_step", state.evaluated_step);
    if (!object.at("best_score").is_null()) state.best_score = object.at("best_score").get<double>();
    state.best_of = object.value("best_of", "");
    for (const auto& [name, count] : object.at("update_counts").items())
      state.update_counts.emplace_back(name, count.get<int64_t>());
  } catch (const json::exception& error) {
    throw UserError(ExitCode::kBadData, origin + ": its training state cannot be read: " + error.what());
  }
  return state;
}

}  // namespace hyperx::train

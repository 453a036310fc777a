#include "trainer/training_state.h"

#include <cmath>

#include "common/json.h"
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
  const JsonValue root(origin, object, "state");
  TrainingState state;
  state.step = root["step"].integer(0);
  state.skipped_steps = root["skipped_steps"].integer(0);
  state.skipped_in_a_row = root["skipped_in_a_row"].integer(0);
  state.cursors = root["cursors"].integers();
  state.evaluated_step = root.integer("evaluated_step", state.evaluated_step);
  if (root.has("best_score")) state.best_score = root["best_score"].number();
  state.best_of = root.text("best_of", "");
  for (const auto& [name, count] : root["update_counts"].fields())
    state.update_counts.emplace_back(name, count.integer(0));
  return state;
}

}  // namespace hyperx::train

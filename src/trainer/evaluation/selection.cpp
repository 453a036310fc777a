#include "trainer/evaluation/selection.h"

#include "common/errors.h"
#include "common/log.h"
#include "trainer/evaluation/evaluation.h"

namespace hyperx::train {

Selection::Selection(const Config& config, const data::Corpus& corpus, const model::ModelOptions& model)
    : config_(config.eval), tasks_(model.tasks) {
  if (config.eval.every <= 0) return;
  const auto pairs_of_set = [&](const std::string& set, const char* key) {
    return scorable_pairs(corpus, set, config.eval.split, model, key);
  };
  evaluated_ = pairs_of_set(config.eval.pairs, "eval.pairs");
  const std::set<data::Pair> evaluated(evaluated_.begin(), evaluated_.end());
  if (config.checkpoint.select.empty()) {
    deciding_ = evaluated;
    return;
  }
  for (const data::Pair& pair : pairs_of_set(config.checkpoint.select, "checkpoint.select")) {
    if (!evaluated.contains(pair))
      throw UserError(ExitCode::kBadConfig,
                      fmt::format("checkpoint.select = '{}' chooses the best checkpoint by {}, which eval.pairs = '{}' "
                                  "does not score: name it there too",
                                  config.checkpoint.select, pair.name(), config.eval.pairs));
    deciding_.insert(pair);
  }
}

std::optional<data::BestScore> Selection::score(const std::vector<data::EvaluationResult>& results) const {
  auto score = data::best_score(results, deciding_, tasks_);
  if (!score) return {};
  const std::string limit = config_.limit > 0 ? fmt::format(", {} sentences per pair", config_.limit) : "";
  score->of = config_.split + limit + ": " + score->of;
  return score;
}

}  // namespace hyperx::train

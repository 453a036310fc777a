#include "trainer/evaluation/selection.h"

#include "common/errors.h"
#include "common/log.h"
#include "trainer/evaluation/evaluation.h"

namespace hyperx::train {

Selection::Selection(const Config& config, const data::Corpus& corpus, const model::ModelOptions& model)
    : config_(config.eval) {
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

std::optional<Selection::Score> Selection::score(const std::vector<data::EvaluationResult>& results) const {
  Score score{0, config_.split};
  if (config_.limit > 0) score.of += fmt::format(", {} sentences a pair", config_.limit);
  int64_t scored = 0;
  for (const data::EvaluationResult& result : results) {
    if (result.pair.task == "mlm" || !deciding_.contains(result.pair)) continue;
    score.value += result.main_value();
    score.of += fmt::format("{} {} {}", scored == 0 ? ":" : ",", result.pair.name(), result.main_metric);
    ++scored;
  }
  if (scored == 0) return {};
  score.value /= static_cast<double>(scored);
  return score;
}

}  // namespace hyperx::train

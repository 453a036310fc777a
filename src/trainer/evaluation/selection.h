#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "data/corpus/corpus.h"
#include "data/tasks/best_score.h"
#include "model/model.h"

namespace hyperx::train {

// What an evaluation during training scores, and how that chooses the best checkpoint.
class Selection {
 public:
  // Before hours are spent on a set that cannot be scored: UserError (78) naming the key and the pair.
  Selection(const Config& config, const data::Corpus& corpus, const model::ModelOptions& model);

  const std::vector<data::Pair>& evaluated() const { return evaluated_; }  // eval.pairs; none with eval.every = 0

  // Of checkpoint.select, else of all that is evaluated. Scores that are `of` something else cannot be compared.
  std::optional<data::BestScore> score(const std::vector<data::EvaluationResult>& results) const;

 private:
  EvalConfig config_;
  data::TaskSet tasks_;
  std::vector<data::Pair> evaluated_;
  std::set<data::Pair> deciding_;
};

}  // namespace hyperx::train

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

// What an evaluation during training scores, and how it selects the best checkpoint.
class Selection {
 public:
  // Checks at the start that the set can be scored: UserError (78) naming the key and the pair.
  Selection(const Config& config, const data::Corpus& corpus, const model::ModelOptions& model);

  const std::vector<data::Pair>& evaluated() const { return evaluated_; }  // eval.pairs; empty if eval.every = 0

  // The score of checkpoint.select, or of all evaluated pairs if it is empty. Scores with another `of` cannot be
  // compared.
  std::optional<data::BestScore> score(const std::vector<data::EvaluationResult>& results) const;

 private:
  EvalConfig config_;
  data::TaskSet tasks_;
  std::vector<data::Pair> evaluated_;
  std::set<data::Pair> deciding_;
};

}  // namespace hyperx::train

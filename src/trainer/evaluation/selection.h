#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "data/corpus/corpus.h"
#include "data/tasks/result_file.h"
#include "model/model.h"

namespace hyperx::train {

// What an evaluation during training scores, and how that chooses the best checkpoint.
class Selection {
 public:
  // Before hours are spent on a set that cannot be scored: UserError (78) naming the key and the pair.
  Selection(const Config& config, const data::Corpus& corpus, const model::ModelOptions& model);

  const std::vector<data::Pair>& evaluated() const { return evaluated_; }  // eval.pairs; none with eval.every = 0

  struct Score {
    double value;    // mean main metric of checkpoint.select; larger is better
    std::string of;  // what it is the mean of: scores of something else cannot be compared
  };
  // None where no result is of a pair that decides.
  std::optional<Score> score(const std::vector<data::EvaluationResult>& results) const;

 private:
  EvalConfig config_;
  std::vector<data::Pair> evaluated_;
  std::set<data::Pair> deciding_;
};

}  // namespace hyperx::train

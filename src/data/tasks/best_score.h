#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "data/tasks/result_file.h"
#include "data/tasks/task_set.h"

namespace hyperx::data {

struct BestScore {
  double value;    // larger is better
  std::string of;  // the metrics that it is the mean of, such as "pos:en accuracy, ner:tr f1"
};

// The score that selects the best checkpoint: the mean main metric of the deciding pairs whose task selects the best,
// or of all deciding pairs if there is no such task. A metric where lower is better (a loss) is negated. None if no
// pair decides, or the mean is not finite.
std::optional<BestScore> best_score(const std::vector<EvaluationResult>& results, const std::set<Pair>& deciding,
                                    const TaskSet& tasks);

}  // namespace hyperx::data

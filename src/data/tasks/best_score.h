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
  std::string of;  // what it is the mean of, such as "pos:en accuracy, ner:tr f1"
};

// What chooses the best checkpoint: the mean main metric of the deciding pairs whose task selects the best; where none
// does, of all deciding pairs. A metric of which less is better (a loss) counts with a minus sign. None where no pair
// decides, or the mean is not finite.
std::optional<BestScore> best_score(const std::vector<EvaluationResult>& results, const std::set<Pair>& deciding,
                                    const TaskSet& tasks);

}  // namespace hyperx::data

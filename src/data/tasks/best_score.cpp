#include "data/tasks/best_score.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>

namespace hyperx::data {

std::optional<BestScore> best_score(const std::vector<EvaluationResult>& results, const std::set<Pair>& deciding,
                                    const TaskSet& tasks) {
  const auto task_of = [&](const Pair& pair) -> const Task& { return tasks.at(pair.task); };
  const bool some_select =
      std::any_of(deciding.begin(), deciding.end(), [&](const Pair& pair) { return task_of(pair).selects_best(); });
  BestScore score{0, ""};
  int count = 0;
  for (const EvaluationResult& result : results) {
    if (!deciding.contains(result.pair)) continue;
    const Task& task = task_of(result.pair);
    if (some_select && !task.selects_best()) continue;
    score.value += task.larger_is_better() ? result.main_value() : -result.main_value();
    score.of += fmt::format("{}{} {}", count == 0 ? "" : ", ", result.pair.name(), result.main_metric);
    ++count;
  }
  score.value /= count;
  return count > 0 && std::isfinite(score.value) ? std::optional(score) : std::nullopt;
}

}  // namespace hyperx::data

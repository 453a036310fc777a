#include "trainer/estimate/model_sizes.h"

#include <algorithm>

namespace hyperx::estimate {

int64_t ModelSizes::norm_values() const { return 2 * encoder.hidden * (1 + 2 * encoder.layers); }

int64_t ModelSizes::head_values(const data::TaskInfo& task) const {
  const int64_t h = encoder.hidden;
  if (!task.masked) return static_cast<int64_t>(task.labels.size()) * (h + 1);
  return h * h + 3 * h + encoder.vocabulary + (trained_decoder ? encoder.vocabulary * h : 0);
}

int64_t ModelSizes::shared_values() const {
  int64_t values = norm_values();
  for (const data::TaskInfo& task : tasks) values += head_values(task);
  return values;
}

int64_t ModelSizes::table_values() const {
  return (encoder.vocabulary + encoder.max_positions + encoder.type_vocabulary) * encoder.hidden;
}

int64_t ModelSizes::linear_values() const {
  return 4 * encoder.hidden * encoder.hidden + 2 * encoder.hidden * encoder.intermediate;
}

int64_t ModelSizes::encoder_values() const {
  return table_values() + encoder.layers * (linear_values() + 5 * encoder.hidden + encoder.intermediate);
}

bool ModelSizes::has_masked_task() const {
  return std::any_of(tasks.begin(), tasks.end(), [](const data::TaskInfo& task) { return task.masked; });
}

int64_t trained_values(const ModelSizes& model, const model::MethodCosts& costs) {
  int64_t values = model.shared_values();
  for (const model::BlockCost& block : costs.blocks) values += block.values;
  return values;
}

}  // namespace hyperx::estimate

#include "trainer/estimate/model_sizes.h"

#include <algorithm>

namespace hyperx::estimate {

int64_t ModelSizes::theta() const {
  const int64_t h = encoder.hidden, b = config.adapter_dim;
  const int64_t conditional =
      (config.adapter_norm_before == "conditional") + (config.adapter_norm_after == "conditional");
  return 2 * h * b + h + b + conditional * 2 * h;
}

int64_t ModelSizes::projected() const {
  return config.projected_dim > 0 ? config.projected_dim : config.task_dim + config.language_dim + config.layer_dim;
}

int64_t ModelSizes::generators() const { return config.layer_dim > 0 ? 1 : encoder.layers; }

int64_t ModelSizes::generator_values() const { return generators() * theta() * (projected() + 1); }

int64_t ModelSizes::source_values() const {
  const int64_t source = config.task_dim + config.language_dim + config.layer_dim, inner = config.source_hidden_dim;
  const int64_t projection = config.projected_dim > 0 ? inner * (source + 1) + config.projected_dim * (inner + 1) : 0;
  return projection + config.task_dim * static_cast<int64_t>(tasks.size()) + config.language_dim * languages +
         config.layer_dim * encoder.layers;
}

int64_t ModelSizes::norm_values() const {
  const int64_t plain = (config.adapter_norm_before == "plain") + (config.adapter_norm_after == "plain");
  return 2 * encoder.hidden * (1 + 2 * encoder.layers + plain * generators());
}

int64_t ModelSizes::head_values(const data::TaskInfo& task) const {
  const int64_t h = encoder.hidden;
  if (!task.masked) return static_cast<int64_t>(task.labels.size()) * (h + 1);
  return h * h + 3 * h + encoder.vocabulary + (config.mlm_decoder == "trained" ? encoder.vocabulary * h : 0);
}

int64_t ModelSizes::dense_values() const {
  int64_t values = source_values() + norm_values();
  for (const data::TaskInfo& task : tasks) values += head_values(task);
  return values;
}

int64_t ModelSizes::trained_values() const { return dense_values() + generator_values(); }

int64_t ModelSizes::table_values() const {
  return (encoder.vocabulary + encoder.max_positions + encoder.type_vocabulary) * encoder.hidden;
}

int64_t ModelSizes::linear_values() const {
  return 4 * encoder.hidden * encoder.hidden + 2 * encoder.hidden * encoder.intermediate;
}

int64_t ModelSizes::frozen_values() const {
  return table_values() + encoder.layers * (linear_values() + 5 * encoder.hidden + encoder.intermediate);
}

bool ModelSizes::has_masked_task() const {
  return std::any_of(tasks.begin(), tasks.end(), [](const data::TaskInfo& task) { return task.masked; });
}

}  // namespace hyperx::estimate

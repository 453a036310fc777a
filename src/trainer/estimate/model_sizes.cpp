#include "trainer/estimate/model_sizes.h"

#include <algorithm>

namespace hyperx::estimate {

int64_t ModelSizes::norm_values() const { return 2 * encoder.hidden * (1 + 2 * encoder.layers); }

model::HeadCosts ModelSizes::head(const data::Task& task) const {
  return model::head_costs(
      {task, encoder, config.mlm_decoder == "trained", method().trains_encoder, method().makes_heads});
}

int64_t ModelSizes::shared_values() const {
  int64_t values = norm_values();
  for (const auto& task : tasks) values += head(*task).values;
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

int64_t trained_values(const ModelSizes& model, const model::MethodCosts& costs) {
  int64_t values = model.shared_values();
  for (const model::BlockCost& block : costs.blocks) values += block.values;
  return values;
}

}  // namespace hyperx::estimate

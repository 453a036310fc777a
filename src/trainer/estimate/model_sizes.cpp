#include "trainer/estimate/model_sizes.h"

#include <algorithm>

namespace hyperx::estimate {

model::HeadCosts ModelSizes::head(const data::Task& task) const {
  return model::head_costs(
      {task, encoder, config.model.mlm_decoder == "trained", method().trains_encoder(), method().makes_heads});
}

model::MethodCosts ModelSizes::method_costs(int ranks, double pairs, bool gpu, bool bf16) const {
  model::CostQuestion question{config, encoder};
  question.tasks = tasks;
  question.languages = languages;
  question.ranks = ranks;
  question.pairs = pairs;
  question.gpu = gpu;
  question.bf16 = bf16;
  return method().costs(question);
}

int64_t ModelSizes::trained_norms() const {
  return method().trains == model::EncoderTraining::kNothing ? 0 : encoder_sizes(encoder).norms;
}

int64_t ModelSizes::shared_values() const {
  int64_t values = trained_norms();
  for (const auto& task : tasks) values += head(*task).values;
  return values;
}

int64_t trained_values(const ModelSizes& model, const model::MethodCosts& costs) {
  int64_t values = model.shared_values();
  for (const model::BlockCost& block : costs.blocks) values += block.values;
  return values;
}

}  // namespace hyperx::estimate

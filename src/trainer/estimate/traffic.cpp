#include "trainer/estimate/traffic.h"

#include <cmath>

#include "model/figures.h"

namespace hyperx::estimate {

std::vector<model::MessageCost> messages_of(const ModelSizes& model, const StepSizes& step,
                                            const model::MethodCosts& costs) {
  double small = static_cast<double>(model.trained_norms()) + costs.bucket_values +
                 static_cast<double>(model::kFigures) * step.pairs;
  for (const auto& task : model.tasks) {
    const auto share = step.task_shares.find(task->name());
    const double missed = std::pow(1 - (share == step.task_shares.end() ? 0 : share->second), step.pairs);
    small += (1 - missed) * static_cast<double>(model.head(*task).values);
  }
  std::vector<model::MessageCost> messages = {{model::MessageCost::Kind::kAllReduce, 4 * small}};
  messages.insert(messages.end(), costs.messages.begin(), costs.messages.end());
  return messages;
}

double bytes_sent(const std::vector<model::MessageCost>& messages, int ranks) {
  double bytes = 0;
  for (const model::MessageCost& message : messages) bytes += message.sent(ranks);
  return bytes;
}

}  // namespace hyperx::estimate

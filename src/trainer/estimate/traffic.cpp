#include "trainer/estimate/traffic.h"

#include <cmath>

namespace hyperx::estimate {

double Message::sent(int ranks) const { return (kind == Kind::kAllReduce ? 2 : 1) * bytes * (ranks - 1) / ranks; }

model::ExchangeKind exchange_of(const ModelSizes& model, const Config& config, int ranks) {
  const model::ExchangeSizes sizes{config.train.pairs_per_step, model.encoder.layers, model.theta(), model.projected(),
                                   model.generators()};
  return model::choose_exchange(config.parallel, sizes, ranks);
}

std::vector<Message> messages_of(const ModelSizes& model, const StepSizes& step, const Config& config,
                                 model::ExchangeKind kind) {
  using Kind = Message::Kind;
  double small = static_cast<double>(model.norm_values()) + step.pairs;
  for (const data::TaskInfo& task : model.tasks) {
    const auto share = step.task_shares.find(task.name);
    const double missed = std::pow(1 - (share == step.task_shares.end() ? 0 : share->second), step.pairs);
    small += (1 - missed) * static_cast<double>(model.head_values(task));
  }
  std::vector<Message> messages = {{Kind::kAllReduce, 4 * small}};
  const double rows = step.pairs * static_cast<double>(model.encoder.layers);
  const double sources = config.model.layer_dim > 0 ? rows : step.pairs;
  const double g = 4 * rows * static_cast<double>(model.theta()), d = static_cast<double>(model.projected());
  if (config.parallel.generator == "sharded") {
    messages.push_back({Kind::kReduceScatter, g});
    messages.push_back({Kind::kAllReduce, 8 * sources * (d + 1)});
    messages.push_back({Kind::kAllGather, g});
    return messages;
  }
  switch (kind) {
    case model::ExchangeKind::kFactors:
      messages.push_back({Kind::kAllReduce, g});
      break;
    case model::ExchangeKind::kGather:
      messages.push_back({Kind::kAllGather, g});
      break;
    case model::ExchangeKind::kDense:
      messages.push_back({Kind::kAllReduce, 4 * sources * d});
      messages.push_back({Kind::kAllReduce, 4 * static_cast<double>(model.generator_values())});
      break;
  }
  return messages;
}

double bytes_sent(const std::vector<Message>& messages, int ranks) {
  double bytes = 0;
  for (const Message& message : messages) bytes += message.sent(ranks);
  return bytes;
}

}  // namespace hyperx::estimate

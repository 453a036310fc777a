#include "trainer/training_step.h"

#include <ATen/record_function.h>
#include <torch/torch.h>

#include "common/random.h"

namespace hyperx::train {

data::Mixture make_mixture(const data::Corpus& corpus, const std::vector<data::Pair>& pairs,
                           const TrainConfig& config) {
  std::vector<data::MixturePair> sized;
  for (const data::Pair& pair : pairs) {
    const data::SplitEntry* const split = corpus.entry(pair).find_split("train");
    sized.push_back({pair, split->counts.sentences});
  }
  return data::Mixture(std::move(sized), config, [&corpus, pairs](int pair, int64_t sentence) {
    return corpus.split(pairs[static_cast<size_t>(pair)], "train").length(sentence);
  });
}

OptimizerOptions optimizer_options(const TrainConfig& config) {
  OptimizerOptions options;
  options.clip_norm = config.clip_norm;
  options.adam.weight_decay = config.weight_decay;
  return options;
}

ExchangeKind exchange_kind(const Config& config, const model::Model& model, int ranks) {
  if (model.hyperx() == nullptr) return ExchangeKind::kFactors;
  const model::Hypernetwork& hypernetwork = model.hyperx()->hypernetwork();
  const ExchangeSizes sizes{config.train.pairs_per_step, hypernetwork.layers(), hypernetwork.theta_size(),
                            hypernetwork.projected_size(), static_cast<int64_t>(hypernetwork.generators().size())};
  return choose_exchange(config, sizes, ranks);
}

data::BatchLoader::Options loader_options(const TrainConfig& config, const comm::Communicator& communicator,
                                          const GradientExchange& exchange, int64_t first_step) {
  data::BatchLoader::Options options;
  options.rank = communicator.rank();
  options.ranks = communicator.size();
  options.mode = exchange.share_mode();
  options.micro_batch_tokens = config.micro_batch_tokens;
  options.first_step = first_step;
  return options;
}

TrainingStep::Result TrainingStep::run(const data::StepBatch& batch, const std::vector<data::Pair>& pairs,
                                       double rate) {
  {
    RECORD_USER_SCOPE("hyperx::generator");
    model_.begin_step(pairs, true);
  }
  Result result;
  result.losses = forward_backward(batch);
  const GeneratorGradient gradient = exchange_.exchange(result.losses, batch.owners);
  RECORD_USER_SCOPE("hyperx::optimizer");
  result.update = optimizer_.update(gradient, rate);
  return result;
}

std::vector<double> TrainingStep::forward_backward(const data::StepBatch& batch) {
  std::vector<double> losses(batch.draws.size(), 0.0);
  const model::DropoutStream dropout{config_.train.seed, batch.step, true};
  if (model_.options().device.is_cuda())  // flash attention's own dropout: anew each step, so that a resumed run goes
                                          // on alike
    torch::cuda::manual_seed(derive_key(
        config_.train.seed, "flash", static_cast<uint64_t>(batch.step * communicator_.size() + communicator_.rank())));
  for (const data::Batch& piece : batch.pieces) {
    const model::PackedBatch packed = model_.pack(piece);
    std::vector<at::Tensor> part_losses;
    const at::Tensor loss = model_.loss(packed, dropout, &part_losses);
    if (loss.defined()) loss.backward();  // not defined: no masked token in this piece
    for (size_t i = 0; i < packed.parts.size(); ++i)
      losses[static_cast<size_t>(packed.parts[i].pair)] += part_losses[i].item<double>();
  }
  return losses;
}

}  // namespace hyperx::train

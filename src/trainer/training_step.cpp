#include "trainer/training_step.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <spdlog/fmt/fmt.h>
#include <torch/cuda.h>

#include <algorithm>

#include "common/errors.h"
#include "common/log.h"
#include "common/random.h"
#include "trainer/step_figures.h"

namespace hyperx::train {

data::Mixture make_mixture(const data::Corpus& corpus, const std::vector<data::Pair>& pairs,
                           const TrainConfig& config) {
  std::vector<data::MixturePair> sized;
  for (const data::Pair& pair : pairs) {
    const data::SplitEntry* const split = corpus.entry(pair).find_split("train");
    sized.push_back({pair, split->counts.sentences});
  }
  return data::Mixture(std::move(sized), config);
}

model::UpdateOptions update_options(const TrainConfig& config) {
  model::UpdateOptions options;
  options.clip_norm = config.clip_norm;
  options.adam.weight_decay = config.weight_decay;
  return options;
}

data::BatchLoader::Options loader_options(const TrainConfig& config, const comm::Communicator& communicator,
                                          const GradientExchange& exchange, int64_t first_step) {
  data::BatchLoader::Options options;
  options.share = {communicator.rank(), communicator.size(), exchange.share_mode(), config.micro_batch_tokens};
  options.first_step = first_step;
  return options;
}

TrainingStep::TrainingStep(const Config& config, comm::Communicator& communicator, model::Model& model)
    : config_(config), communicator_(communicator), model_(model) {
  if (!config.train.cuda_graphs) return;
  const model::ModelOptions& options = model.options();
  if (!options.device.is_cuda() || options.compute != at::kBFloat16)
    throw UserError(ExitCode::kBadConfig, "train.cuda_graphs = 1 wants a GPU and bf16: leave it out");
  if (!model::find_method_spec(config.model.method).replayable)
    throw UserError(ExitCode::kBadConfig,
                    "train.cuda_graphs = 1 replays what one step computed, and model.method = " + config.model.method +
                        " computes something else in each (draws, or adapters of the language): leave it out");
  if (communicator.rank() == 0)
    log::warning("train.cuda_graphs = 1: these graphs have not run on a GPU yet; compare with a run without them");
  graphs_ = std::make_unique<StepGraphs>(model);
}

at::Tensor TrainingStep::forward_backward(const data::StepBatch& batch, const std::vector<data::Pair>& pairs,
                                          GradientExchange* exchange) {
  {
    RECORD_USER_SCOPE("hyperx::generator");
    model_.begin_step(pairs, true, batch.step);
  }
  at::Tensor figures = at::zeros({model::kFigures, std::ssize(batch.draws)}, figures_options());
  const model::DropoutStream dropout{config_.train.seed, batch.step, true};
  if (model_.options().device.is_cuda())  // reseeds flash attention's dropout, so that a resumed run draws the same
    torch::cuda::manual_seed(derive_key(
        config_.train.seed, "flash", static_cast<uint64_t>(batch.step * communicator_.size() + communicator_.rank())));
  if (const at::Tensor extra = model_.method().extra_loss(); extra.defined()) extra.backward();
  for (const data::Batch& piece : batch.pieces) {
    if (exchange != nullptr && !graphs_ && &piece == &batch.pieces.back()) exchange->watch_backward();
    if (graphs_)
      graphs_->add_gradients(piece, dropout, figures);
    else
      add_gradients(model_, model_.pack(piece, dropout), dropout, figures);
  }
  return figures;
}

void TrainingStep::try_out(const data::StepBatch& batch, const std::vector<data::Pair>& pairs) {
  require_memory(batch, [&] { model_.method().reserve(pairs); });
  require_memory(batch, [&] {
    StepFigures figures({forward_backward(batch, pairs), {at::zeros({}, figures_options())}}, communicator_);
    figures.gradient_norm();  // waits
  });
}

void TrainingStep::require_memory(const data::StepBatch& batch, const std::function<void()>& work) {
  std::string problem;
  try {
    work();
  } catch (const c10::OutOfMemoryError& error) {
    problem = error.what_without_backtrace();
  }
  if (communicator_.all_reduce_max({problem.empty() ? 0 : 1})[0] == 0) return;
  int64_t tokens = 0, sentences = 0, largest = 0;
  for (const data::DrawSummary& draw : batch.draws) {
    tokens += draw.tokens;
    sentences += draw.sentences;
  }
  for (const data::Batch& piece : batch.pieces) largest = std::max(largest, piece.tokens());
  throw UserError(
      ExitCode::kBadConfig,
      fmt::format(
          "the largest batch that can come, {} sentences of {} tokens over {} ranks, does not fit into the memory "
          "of every GPU{}. Set train.micro_batch_tokens below {} (it computes the same in pieces), or lower "
          "train.batch_sentences = {} or data.max_subwords = {}; `hyperx estimate` shows what a step needs",
          sentences, tokens, communicator_.size(), problem.empty() ? "" : ": " + problem, largest,
          config_.train.batch_sentences, config_.data.max_subwords));
}

}  // namespace hyperx::train

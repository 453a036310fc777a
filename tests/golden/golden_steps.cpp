// Cases of several optimiser steps.
#include <ATen/ATen.h>

#include "model/comm/local_communicator.h"
#include "tests/golden/case_names.h"
#include "tests/golden/golden_case.h"
#include "trainer/optimizer/gradient_exchange.h"
#include "trainer/optimizer/optimizer.h"
#include "trainer/schedule.h"

namespace hyperx::golden {

using nlohmann::json;

void GoldenCase::check_steps() {
  const json& optimisation = json_.at("optimisation");
  TrainConfig train;
  train.learning_rate = optimisation.at("learning_rate");
  train.warmup_steps = optimisation.at("warmup_steps");
  train.final_learning_rate = optimisation.at("lr_end");
  const int64_t steps = optimisation.at("max_steps");
  model::UpdateOptions options;
  options.clip_norm = optimisation.at("max_grad_norm");
  options.adam.epsilon = optimisation.at("adam_eps");
  options.adam.weight_decay = optimisation.at("defaults").value("weight_decay", 0.0);
  train::Optimizer optimizer(model_->parameters(), options);
  comm::LocalCommunicator alone;
  train::GradientExchange exchange(alone, model_->parameters());

  std::map<std::string, at::Tensor> ours, start;
  for (const auto& view : model_->parameters().named_values()) {
    ours[view.name] = view.value;
    start[view.name] = view.value.clone();
  }
  const std::vector<std::string> trainable = strings(json_.at("trainable"));
  const at::TensorOptions doubles = at::TensorOptions().dtype(at::kDouble);
  at::Tensor losses = at::zeros({steps}, doubles), norms = losses.clone(), rates = losses.clone();
  at::Tensor sums = at::zeros({static_cast<int64_t>(trainable.size()), steps}, doubles), movement = sums.clone();
  std::map<std::string, std::vector<at::Tensor>> after_step;

  const std::vector<std::string> pairs = strings(json_.at("pairs_in_order"));
  for (int64_t step = 0; step < steps; ++step) {
    const PackedInput input = pack("step." + std::to_string(step) + ".");
    model_->begin_step({data::parse_pair(pairs.at(static_cast<size_t>(step)))}, true);
    const at::Tensor loss = model_->loss(input.labelled, {});
    loss.backward();
    rates[step] = train::learning_rate(train, step, steps);
    at::Tensor losses_of_step = loss.detach().to(at::kDouble).reshape({1});
    exchange.exchange(losses_of_step, {});
    norms[step] = optimizer.update(rates[step].item<double>()).gradient_norm.item<double>();
    losses[step] = loss.item<double>();
    for (size_t i = 0; i < trainable.size(); ++i) {
      const std::string name = our_name(trainable[i]);
      const at::Tensor value = ours.at(name).to(at::kDouble);
      sums[static_cast<int64_t>(i)][step] = value.sum();
      movement[static_cast<int64_t>(i)][step] = (value - start.at(name).to(at::kDouble)).abs().sum();
    }
    for (const std::string& name : arrays_->names())
      if (name.rfind("after_step64/", 0) == 0)
        after_step[name.substr(13)].push_back(ours.at(our_name(name.substr(13))).clone());
  }
  compare("outputs", "losses", losses, kLoss.wide, kLoss.narrow);
  compare("outputs", "grad_norms_before_clip", norms, kGradients.wide, kGradients.narrow);
  compare("outputs", "learning_rates", rates, kLoss.wide, kLoss.narrow);
  // A sum over a whole tensor gathers the rounding of each value: in fp32 the tolerance is per value.
  compare("sums", "parameter_sum", sums, kParameters.wide, kGradients.narrow, type_ == at::kDouble);
  compare("sums", "absolute_movement", movement, kParameters.wide, kGradients.narrow * 10, type_ == at::kDouble);
  for (const auto& [name, values] : after_step)
    compare("after_step", name, at::stack(values), kParameters.wide, kParameters.narrow, true);
  for (const std::string& name : arrays_->names())
    if (name.rfind("final/", 0) == 0)
      compare("final", name.substr(6), ours.at(our_name(name.substr(6))), kParameters.wide, kParameters.narrow, true);
}

}  // namespace hyperx::golden

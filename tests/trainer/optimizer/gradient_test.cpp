#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "tests/support/hyperx_of.h"
#include "tests/trainer/tiny_model.h"
#include "trainer/optimizer/gradient_exchange.h"
#include "trainer/optimizer/optimizer.h"
#include "trainer/schedule.h"

namespace hyperx::train {
namespace {

struct Options {
  const char* name;
  void (*change)(model::HyperXOptions&);
};

class GradientTest : public testing::TestWithParam<Options> {};

// Finite differences, in fp64 and with dropout on, of every kind of trained tensor, through packed rows of two pairs.
TEST_P(GradientTest, EqualsFiniteDifferences) {
  at::manual_seed(5);
  Config config = tiny_config();
  GetParam().change(model::hyperx_options(config));
  const data::TaskSet tasks = data::TaskSet::of({"ner", "pos"});
  model::Model model(tiny_encoder(), {config, tasks, {"en", "tr"}, at::kDouble, at::kCPU});
  {
    at::NoGradGuard no_gradient;  // away from the start, where the adapters are near the identity
    for (const auto& view : model.parameters().named_values()) view.value.add_(at::randn_like(view.value) * 0.3);
  }
  const std::vector<data::Pair> pairs{{"pos", "en"}, {"ner", "tr"}};
  const model::PackedBatch batch = model.pack(two_sentences());
  const model::DropoutStream dropout{9, 1, true};
  const auto loss = [&] {
    model.begin_step(pairs, true);
    return model.loss(batch, dropout);
  };
  loss().backward();
  const model::GeneratorGradient generator = model::hyperx_of(model)->block().dense_gradient();
  model::hyperx_of(model)->sources().backward(generator.source_gradient);
  std::map<std::string, at::Tensor> gradients;
  for (const auto& parameter : model.parameters().all())
    if (parameter->used) gradients[parameter->name] = parameter->gradient.clone();
  for (const auto& view : model::hyperx_of(model)->hypernetwork().named_views_of(generator.dense))
    gradients[view.name] = view.value.clone();

  at::NoGradGuard no_gradient;
  for (const auto& view : model.parameters().named_values()) {
    const auto it = gradients.find(view.name);
    if (it == gradients.end()) continue;
    const at::Tensor flat = view.value.view({-1}), gradient = it->second.reshape({-1});
    for (const int64_t index : {int64_t{0}, flat.numel() / 2, flat.numel() - 1}) {
      const double value = flat[index].item<double>(), h = 1e-6;
      flat[index] = value + h;
      const double above = loss().item<double>();
      flat[index] = value - h;
      const double below = loss().item<double>();
      flat[index] = value;
      EXPECT_NEAR(gradient[index].item<double>(), (above - below) / (2 * h), 1e-7) << view.name << " " << index;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Options, GradientTest,
                         testing::Values(Options{"paper", [](model::HyperXOptions&) {}},
                                         Options{"no_layer", [](model::HyperXOptions& c) { c.layer_dim = 0; }},
                                         Options{"no_projection", [](model::HyperXOptions& c) { c.projected_dim = 0; }},
                                         Options{"conditional",
                                                 [](model::HyperXOptions& c) {
                                                   c.adapter_norm_before = c.adapter_norm_after = "conditional";
                                                 }},
                                         Options{"plain_gelu",
                                                 [](model::HyperXOptions& c) {
                                                   c.adapter_norm_after = "plain";
                                                   c.adapter_activation = "gelu";
                                                 }},
                                         Options{"after_layer",
                                                 [](model::HyperXOptions& c) { c.adapter_position = "after-layer"; }}),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

TEST(Schedule, WarmsUpFromZeroAndDecaysToTheEnd) {
  TrainConfig config;
  config.learning_rate = 1e-3;
  config.warmup_steps = 10;
  config.final_learning_rate = 1e-7;
  EXPECT_EQ(learning_rate(config, 0, 110), 0);
  EXPECT_DOUBLE_EQ(learning_rate(config, 5, 110), 5e-4);
  EXPECT_DOUBLE_EQ(learning_rate(config, 10, 110), 1e-3);
  EXPECT_DOUBLE_EQ(learning_rate(config, 60, 110), (1e-3 - 1e-7) / 2 + 1e-7);
  EXPECT_NEAR(learning_rate(config, 110, 110), 1e-7, 1e-15);
  config.schedule = "constant";
  EXPECT_DOUBLE_EQ(learning_rate(config, 100, 110), 1e-3);
}

// What moves a step, for Base: a sixteenth of the dense gradient; and what `auto` then takes (docs/method.md section
// 6).
TEST(Exchange, PicksWhatMovesFewestValues) {
  const model::ExchangeSizes base{1, 12, 394240, 192, 1};
  EXPECT_NEAR(static_cast<double>(base.values_moved(model::ExchangeKind::kDense)) /
                  static_cast<double>(base.values_moved(model::ExchangeKind::kFactors)),
              16.08, 0.01);
  Config config;
  const auto pick = [&](int64_t pairs, int64_t projected, int ranks) {
    config.train.pairs_per_step = static_cast<int>(pairs);
    return model::choose_exchange(config.parallel, {pairs, 12, 394240, projected, 1}, ranks);
  };
  EXPECT_EQ(pick(1, 192, 2), model::ExchangeKind::kFactors);
  EXPECT_EQ(pick(1, 8, 2), model::ExchangeKind::kDense);
  EXPECT_EQ(pick(8, 192, 4), model::ExchangeKind::kGather);
  EXPECT_EQ(pick(8, 192, 16), model::ExchangeKind::kFactors);  // whole pairs would leave ranks idle
  EXPECT_EQ(pick(40, 192, 4), model::ExchangeKind::kDense);
}

}  // namespace
}  // namespace hyperx::train

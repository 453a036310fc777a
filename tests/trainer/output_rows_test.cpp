// The last layer goes on with the rows alone that the loss reads: against all rows, from which those are taken.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "tests/support/hyperx_of.h"
#include "tests/trainer/tiny_model.h"

namespace hyperx::train {
namespace {

struct Outcome {
  double loss = 0;
  at::Tensor theta_gradient;
  std::vector<at::Tensor> gradients, logits;
};

class OutputRowsTest : public testing::TestWithParam<const char*> {
 protected:
  OutputRowsTest() {
    at::manual_seed(5);
    Config config = tiny_config();
    model::hyperx_options(config).adapter_position = GetParam();
    model_ = std::make_unique<model::Model>(
        tiny_encoder(),
        model::ModelOptions{config, data::TaskSet::of({"ner", "pos"}), {"en", "tr"}, at::kDouble, at::kCPU});
    const at::NoGradGuard no_gradient;  // away from the start, where the adapters are near the identity
    for (const auto& view : model_->parameters().named_values()) view.value.add_(at::randn_like(view.value) * 0.3);
  }

  Outcome run(const data::Batch& batch, bool all_rows) {
    const std::vector<data::Pair> pairs{{"pos", "en"}, {"ner", "tr"}};
    std::vector<at::Tensor> hidden;
    Outcome outcome;
    model_->begin_step(pairs, true);
    const model::PackedBatch packed = model_->pack(batch);
    const at::Tensor loss = model_->loss(packed, {9, 1, true}, nullptr, all_rows ? &hidden : nullptr);
    loss.backward();
    outcome.loss = loss.item<double>();
    outcome.theta_gradient = model::hyperx_of(*model_)->theta_gradient().clone();
    for (const auto& parameter : model_->parameters().all())
      if (parameter->used) outcome.gradients.push_back(parameter->gradient.clone());
    outcome.logits = model_->logits(packed, all_rows ? &hidden : nullptr);
    return outcome;
  }

  void expect_same(const data::Batch& batch) {
    const Outcome some = run(batch, false), all = run(batch, true);
    // Measured: 2e-16 for the loss, 3e-16 for gradients and scores; a row or a mask bit that is not the right one:
    // 1e-3.
    const auto near = [](const at::Tensor& found, const at::Tensor& expected) {
      EXPECT_EQ(found.sizes(), expected.sizes());
      return at::allclose(found, expected, 1e-13, 1e-14);
    };
    EXPECT_NEAR(some.loss, all.loss, 1e-14);
    EXPECT_TRUE(near(some.theta_gradient, all.theta_gradient));
    EXPECT_GT(all.theta_gradient.abs().max().item<double>(), 1e-3);
    ASSERT_EQ(some.gradients.size(), all.gradients.size());
    for (size_t i = 0; i < some.gradients.size(); ++i) EXPECT_TRUE(near(some.gradients[i], all.gradients[i])) << i;
    ASSERT_EQ(some.logits.size(), all.logits.size());
    for (size_t i = 0; i < some.logits.size(); ++i) EXPECT_TRUE(near(some.logits[i], all.logits[i])) << i;
  }

  std::unique_ptr<model::Model> model_;
};

TEST_P(OutputRowsTest, GiveTheLossAndGradientsOfAllRows) { expect_same(two_sentences()); }

TEST_P(OutputRowsTest, MayLackAPair) {
  data::Batch batch = two_sentences();
  batch.label_positions.pop_back();
  batch.labels.pop_back();
  batch.segments[1].label_end = 2;
  expect_same(batch);
}

TEST_P(OutputRowsTest, MayBeNone) {
  data::Batch batch = two_sentences();
  batch.label_positions.clear();
  batch.labels.clear();
  for (data::Segment& segment : batch.segments) segment.label_begin = segment.label_end = 0;
  model_->begin_step({{"pos", "en"}, {"ner", "tr"}}, true);
  const model::PackedBatch packed = model_->pack(batch);
  at::Tensor figures = at::zeros({model::kFigures, 2}, at::kDouble);
  EXPECT_FALSE(model_->loss(packed, {9, 1, true}, &figures).defined());
  EXPECT_EQ(figures.abs().max().item<double>(), 0);
  EXPECT_EQ(model_->logits(packed).at(1).size(0), 0);
}

INSTANTIATE_TEST_SUITE_P(Positions, OutputRowsTest, testing::Values("ffn-output", "after-layer"),
                         [](const auto& parameter) { return std::string(parameter.param[0] == 'f' ? "Ff" : "After"); });

}  // namespace
}  // namespace hyperx::train

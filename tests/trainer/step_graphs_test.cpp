// What a CUDA graph computes, without the graph: a batch filled up to a capacity gives its own losses and gradients.
#include "trainer/step_graphs.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "data/batch/capacity.h"
#include "tests/support/hyperx_of.h"
#include "tests/trainer/tiny_model.h"

namespace hyperx::train {
namespace {

data::Batch with_sentences(data::Batch batch) {
  for (size_t i = 0; i < batch.segments.size(); ++i) {
    batch.segments[i].sentence_begin = static_cast<int>(i);
    batch.segments[i].sentence_end = static_cast<int>(i) + 1;
  }
  batch.sentence_ids = {0, 1};
  batch.label_words = {0, 1, 0};
  return batch;
}

TEST(StepGraphs, AFilledBatchGivesItsOwnLossesAndGradients) {
  const data::TaskSet tasks = data::TaskSet::of({"ner", "pos"});
  model::Model model(tiny_encoder(), {tiny_config(), tasks, {"en", "tr"}, at::kDouble, at::kCPU});
  const data::Batch batch = with_sentences(two_sentences());
  const model::DropoutStream dropout{9, 1, true};
  const auto run = [&](const std::vector<data::Batch>& batches) {
    model.begin_step({{"pos", "en"}, {"ner", "tr"}}, true);
    at::Tensor figures = at::zeros({model::kFigures, 2}, at::kDouble);
    for (const data::Batch& part : batches) add_gradients(model, model.pack(part, dropout), dropout, figures);
    std::vector<at::Tensor> found{figures[model::kLoss], model::hyperx_of(model)->theta_gradient().clone()};
    for (const auto& parameter : model.parameters().all()) found.push_back(parameter->gradient.clone());
    return found;
  };
  const std::vector<at::Tensor> expected = run({batch});
  std::vector<data::Batch> full;
  for (const data::Batch& segment : data::split_segments(batch))
    full.push_back(data::filled(segment, data::capacity_of(segment, false)));
  ASSERT_EQ(full.size(), 2U);
  ASSERT_EQ(full[0].tokens(), 64);
  const std::vector<at::Tensor> found = run(full);
  EXPECT_GT(expected[0].min().item<double>(), 0.1);
  for (size_t i = 0; i < found.size(); ++i)
    EXPECT_LT((found[i] - expected[i]).abs().max().item<double>(), 1e-15) << i;  // measured: 3e-17
}

// A mini-batch of masked words of which none was chosen: filled up, its labels are all fillers.
TEST(StepGraphs, AFilledBatchWithoutLabelsHasALossOfZero) {
  model::Model model(tiny_encoder(), {tiny_config(), data::TaskSet::of({"mlm"}), {"en"}, at::kDouble, at::kCPU});
  data::Batch batch = data::split_segments(with_sentences(two_sentences())).front();
  batch.label_positions.clear();
  batch.labels.clear();
  batch.label_words.clear();
  batch.segments[0].label_end = 0;
  batch.segments[0].label_count = 0;
  model.begin_step({{"mlm", "en"}}, true);
  at::Tensor figures = at::zeros({model::kFigures, 1}, at::kDouble);
  const model::DropoutStream dropout{9, 1, true};
  add_gradients(model, model.pack(data::filled(batch, data::capacity_of(batch, true)), dropout), dropout, figures);
  EXPECT_EQ(figures[model::kLoss][0].item<double>(), 0);
  EXPECT_EQ(model::hyperx_of(model)->theta_gradient().abs().max().item<double>(), 0);
}

}  // namespace
}  // namespace hyperx::train

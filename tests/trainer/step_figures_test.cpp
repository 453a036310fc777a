// The figures of a step that are logged, and what is concluded from them.
#include "trainer/step_figures.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/comm/local_communicator.h"
#include "tests/trainer/tiny_model.h"
#include "trainer/collapse_watch.h"

namespace hyperx::train {
namespace {

// The spread of each pair's labelled words from the hidden states of all rows.
TEST(StepFigures, AreThoseOfTheLastHiddenStates) {
  at::manual_seed(5);
  model::Model model(tiny_encoder(),
                     {tiny_config(), data::TaskSet::of({"ner", "pos"}), {"en", "tr"}, at::kDouble, at::kCPU});
  const data::Batch batch = two_sentences();
  model.begin_step({{"pos", "en"}, {"ner", "tr"}}, false);
  const model::PackedBatch packed = model.pack(batch);
  at::Tensor figures = at::zeros({model::kFigures, 2}, at::kDouble);
  std::vector<at::Tensor> hidden_states;
  model.loss(packed, {}, &figures, &hidden_states);
  comm::LocalCommunicator alone;
  const std::vector<double> found = StepFigures({figures, {at::zeros({}, at::kDouble)}}, alone).spreads();
  for (const model::PackedBatch::Part& part : packed.parts) {
    const at::Tensor rows = hidden_states.back()
                                .index_select(0, packed.input.output_rows)
                                .narrow(0, part.label_begin, part.label_end - part.label_begin)
                                .detach();
    if (rows.size(0) == 1) {
      EXPECT_TRUE(std::isnan(found[1])) << "one word has no spread";
      continue;
    }
    const double expected = (rows.var(0, false).sum().sqrt() / rows.square().sum(1).mean().sqrt()).item<double>();
    EXPECT_NEAR(found[0], expected, 1e-6);
  }
  EXPECT_EQ(packed.parts.size(), 2U);
}

TEST(CollapseWatch, ReportsOnceThatATaskHasCollapsed) {
  CollapseWatch watch;
  for (int i = 1; i < CollapseWatch::kSteps; ++i) {
    EXPECT_FALSE(watch.add("ner", 1e-4));
    EXPECT_FALSE(watch.add("pos", 0.5)) << "another task";
    EXPECT_FALSE(watch.add("ner", std::nan(""))) << "no word has a label";
  }
  EXPECT_TRUE(watch.add("ner", 1e-4));
  EXPECT_FALSE(watch.add("ner", 1e-4)) << "said already";
  EXPECT_FALSE(watch.add("ner", 0.5));
  for (int i = 1; i < CollapseWatch::kSteps; ++i) EXPECT_FALSE(watch.add("ner", 1e-4)) << "the count begins again";
  EXPECT_TRUE(watch.add("ner", 1e-4));
}

}  // namespace
}  // namespace hyperx::train

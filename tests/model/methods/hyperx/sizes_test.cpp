#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/model.h"
#include "tests/support/hyperx_of.h"
#include "tests/support/mbert_sizes.h"

namespace hyperx::model {
namespace {

// An encoder of mBERT's sizes. The values do not matter here, so that they are not drawn.
EncoderWeights mbert_sized_encoder() {
  EncoderWeights encoder;
  encoder.spec = test::mbert_sizes();
  for (const auto& [name, shape] : encoder_tensor_shapes(encoder.spec)) encoder.tensors[name] = at::empty(shape);
  return encoder;
}

int64_t elements_with(const Model& model, const std::string& prefix) {
  int64_t count = 0;
  for (const auto& view : model.parameters().named_values())
    if (view.name.rfind(prefix, 0) == 0) count += view.value.numel();
  return count;
}

class SizesTest : public testing::Test {
 protected:
  static Model make(HyperXOptions options) {
    const data::TaskSet tasks = data::TaskSet::of({"pos", "ner", "mlm"});
    Config config;
    hyperx_options(config) = std::move(options);
    return Model(mbert_sized_encoder(), {config, tasks, {"en", "tr", "fo"}, at::kFloat, at::kCPU});
  }
};

TEST_F(SizesTest, Base) {
  const Model model = make({});
  EXPECT_EQ(elements_with(model, "hypernetwork."), 76088320);
  EXPECT_EQ(elements_with(model, "projection."), 74112);
  EXPECT_EQ(elements_with(model, "encoder."), 38400);
  EXPECT_EQ(elements_with(model, "embeddings."), (12 + 3 + 3) * 64);
  EXPECT_EQ(model.parameters().element_count() - elements_with(model, "heads."), 76088320 + 74112 + 38400 + 18 * 64);
}

TEST_F(SizesTest, SmallIsThirteenMillion) {
  HyperXOptions options;
  options.projected_dim = 32;
  const Model model = make(options);
  const int64_t trained = model.parameters().element_count() - elements_with(model, "heads.");
  EXPECT_EQ(elements_with(model, "hypernetwork."), 394240 * 33);
  EXPECT_NEAR(static_cast<double>(trained) / 1e6, 13.0, 0.15);
}

// What one would do without Hyper-X's idea: one adapter of a task and layer for all languages.
TEST_F(SizesTest, WithoutLanguageEmbeddingsAllLanguagesHaveOneAdapter) {
  HyperXOptions options;
  options.language_dim = 0;
  options.adapter_dim = 8;
  Model model = make(options);
  EXPECT_EQ(elements_with(model, "embeddings."), (12 + 3) * 64);
  EXPECT_EQ(elements_with(model, "projection.hidden.weight"), 192 * 128);
  const auto theta_of = [&](const data::Pair& pair) {
    model.begin_step({pair}, false);
    return hyperx_of(model)->theta().clone();
  };
  const at::Tensor turkish = theta_of({"pos", "tr"});
  EXPECT_TRUE(at::equal(theta_of({"pos", "fo"}), turkish));
  EXPECT_FALSE(at::equal(theta_of({"ner", "tr"}), turkish));
  options.language_dim = 64;
  options.task_dim = 0;
  Model tasks = make(options);
  tasks.begin_step({{"pos", "tr"}}, false);
  const at::Tensor pos = hyperx_of(tasks)->theta().clone();
  tasks.begin_step({{"ner", "tr"}}, false);
  EXPECT_TRUE(at::equal(hyperx_of(tasks)->theta(), pos));
}

TEST_F(SizesTest, TheReleaseScriptsConditionalNormAddsItsGenerators) {
  HyperXOptions options;
  options.adapter_norm_after = "conditional";
  EXPECT_EQ(elements_with(make(options), "hypernetwork.") - 76088320, 296448);
}

}  // namespace
}  // namespace hyperx::model

#include "model/heads/head.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "data/tasks/task_set.h"
#include "tests/trainer/tiny_model.h"

namespace hyperx::model {
namespace {

// A head for masked words on a tiny encoder whose products are in bf16, a type other than that of trained values.
struct TiedHead {
  explicit TiedHead(bool train_encoder)
      : encoder(weights, parameters, train_encoder ? EncoderTraining::kAll : EncoderTraining::kLayerNorms,
                at::kBFloat16, at::kCPU),
        head(make_head({tasks.at("mlm"), weights, encoder, config, false, at::kFloat, at::kCPU, parameters})) {}

  const EncoderWeights weights = train::tiny_encoder();
  const data::TaskSet tasks = data::TaskSet::of({"mlm"});
  const Config config = train::tiny_config();
  ParameterSet parameters;
  const Encoder encoder;
  const std::unique_ptr<Head> head;
  Method method;
  const HeadInput input{at::randn({3, weights.spec.hidden}).to(at::kBFloat16), method};
};

TEST(MaskedWordsHead, DecodesWithTrainedEmbeddingsAsTheyAreNow) {
  at::manual_seed(5);
  TiedHead tied(true);
  at::Tensor embeddings = tied.encoder.word_embeddings();
  at::Tensor before;
  {
    const at::NoGradGuard no_gradient;  // an evaluation comes first
    before = tied.head->logits(tied.input);
    embeddings.mul_(2);
    EXPECT_GT((tied.head->logits(tied.input) - before).abs().max().item<float>(), 0.01);
  }
  tied.head->loss(tied.input, at::tensor({1, 2, 3}, at::kLong), at::Reduction::Sum).backward();
  ASSERT_TRUE(embeddings.grad().defined());
  EXPECT_GT(embeddings.grad().abs().max().item<float>(), 0);
}

TEST(MaskedWordsHead, ConvertsFrozenEmbeddingsOnce) {
  at::manual_seed(5);
  TiedHead tied(false);
  const at::Tensor before = tied.head->logits(tied.input);
  at::Tensor embeddings = tied.encoder.word_embeddings();
  embeddings.mul_(2);
  EXPECT_TRUE(at::equal(tied.head->logits(tied.input), before));
}

TEST(Head, PredictsTheClassOfTheSmallestLoss) {
  at::manual_seed(5);
  TiedHead tied(false);
  const at::NoGradGuard no_gradient;
  const at::Tensor best = tied.head->predict(tied.input);
  const at::Tensor least = tied.head->loss(tied.input, best, at::Reduction::None);
  const at::Tensor other = tied.head->loss(tied.input, (best + 1) % tied.weights.spec.vocabulary, at::Reduction::None);
  EXPECT_TRUE((least < other).all().item<bool>());
  EXPECT_FLOAT_EQ(tied.head->loss(tied.input, best, at::Reduction::Sum).item<float>(), least.sum().item<float>());
}

}  // namespace
}  // namespace hyperx::model

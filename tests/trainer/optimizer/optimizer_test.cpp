#include "trainer/optimizer/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "common/errors.h"
#include "model/comm/local_communicator.h"
#include "tests/support/errors.h"
#include "tests/support/hyperx_of.h"
#include "tests/trainer/run_step.h"
#include "tests/trainer/tiny_training.h"

namespace hyperx::train {
namespace {

using testing::HasSubstr;

constexpr int64_t kHalf = 4, kSteps = 8;

// Fills targets from tensors that were kept.
LoadTensors from(const Values& kept) {
  return [&kept](const std::vector<TensorTarget>& targets) {
    EXPECT_EQ(targets.size(), kept.size());
    for (const TensorTarget& target : targets) {
      const at::Tensor& value = kept.at(target.name);
      ASSERT_EQ(value.sizes(), at::IntArrayRef(target.shape)) << target.name;
      std::memcpy(target.data, value.const_data_ptr(), value.nbytes());
    }
  };
}

// What a run keeps of itself.
struct Kept {
  Values values, moments;
  std::vector<std::pair<std::string, int64_t>> counts;
};

class OptimizerTest : public testing::Test {
 protected:
  static const TinyData& data() {
    static const TinyData data;
    return data;
  }
  Config config(const char* generator = "replicated") const {
    Config config = tiny_training_config();
    config.train.weight_decay = 0.01;
    config.parallel.generator = generator;
    return config;
  }

  // Steps [begin, end) on `ranks` ranks, from what was kept before.
  Kept train(const Config& config, int ranks, int64_t begin, int64_t end, const Kept* before = nullptr) {
    Kept after;
    comm::ThreadRanks(ranks).run([&](comm::Communicator& communicator) {
      RankTraining training(data(), config, communicator);
      if (before != nullptr) {
        load_values(training.model.parameters(), from(before->values));
        load_moments(training.model.parameters(), from(before->moments));
        training.optimizer.set_counts(before->counts, "kept");
      }
      for (int64_t step = begin; step < end; ++step) training.run(step);
      const Values values = copied_values(training), moments = copied_moments(training);
      if (communicator.rank() == 0) after = {values, moments, training.optimizer.counts()};
    });
    return after;
  }
};

TEST_F(OptimizerTest, ARunGoesOnFromItsStateBitForBit) {
  for (const char* generator : {"replicated", "sharded"}) {
    const Kept whole = train(config(generator), 3, 0, kSteps);
    const Kept half = train(config(generator), 3, 0, kHalf);
    EXPECT_GT(gap_between(whole.values, half.values).largest, 1e-3);
    const Kept rest = train(config(generator), 3, kHalf, kSteps, &half);
    EXPECT_EQ(gap_between(whole.values, rest.values).largest, 0) << generator;
    EXPECT_EQ(gap_between(whole.moments, rest.moments).largest, 0) << generator;
    EXPECT_EQ(whole.counts, rest.counts);
  }
}

// What is kept is the same whoever held the rows.
TEST_F(OptimizerTest, ShardedStateGoesOnWithOtherRanks) {
  const Kept whole = train(config(), 1, 0, kSteps);
  const Kept half = train(config("sharded"), 3, 0, kHalf);
  for (const int ranks : {1, 2, 4}) {
    const Kept rest = train(config("sharded"), ranks, kHalf, kSteps, &half);
    EXPECT_LT(gap_between(whole.values, rest.values).largest, 1e-12) << ranks;
    EXPECT_LT(gap_between(whole.moments, rest.moments).largest, 1e-12) << ranks;
  }
}

// As with PyTorch, where a parameter without a gradient is passed over, and one with a gradient of zeros is not.
TEST_F(OptimizerTest, AHeadsUpdatesCountFromItsFirstUse) {
  Config two_heads = config();
  two_heads.train.pairs = "pos:aa,ner:aa";
  comm::LocalCommunicator alone;
  RankTraining training(data(), two_heads, alone);
  std::map<std::string, int64_t> updates;  // by task
  for (int64_t step = 0; step < kSteps; ++step) {
    const int pair = training.mixture.plan(step).draws.at(0).pair;
    updates.try_emplace(training.maker.pairs()[static_cast<size_t>(pair)].task, kSteps - step);
    training.run(step);
  }
  std::map<std::string, int64_t> counts;
  for (const auto& [name, count] : training.optimizer.counts()) counts[name] = count;
  ASSERT_EQ(updates.size(), 2U);
  ASSERT_NE(updates["pos"], updates["ner"]);
  EXPECT_EQ(counts.at("hypernetwork"), kSteps);
  EXPECT_EQ(counts.at("heads.pos.weight"), updates["pos"]);
  EXPECT_EQ(counts.at("heads.ner.bias"), updates["ner"]);
}

TEST_F(OptimizerTest, CountsAreLoadedStrictly) {
  comm::LocalCommunicator alone;
  RankTraining training(data(), config(), alone);
  const auto counts = training.optimizer.counts();
  const auto error = [&](auto change) {
    auto changed = counts;
    change(changed);
    return test::message_of(ExitCode::kBadData, [&] { training.optimizer.set_counts(changed, "step-0000005"); });
  };
  EXPECT_EQ(error([](auto&) {}), "");
  EXPECT_THAT(error([](auto& changed) { changed.pop_back(); }),
              testing::AllOf(HasSubstr("step-0000005"), HasSubstr("lack 'hypernetwork'")));
  EXPECT_THAT(error([](auto& changed) { changed.front().first = "heads.dep.weight"; }),
              HasSubstr("lack '" + counts.front().first));
  EXPECT_THAT(error([](auto& changed) {
                changed.push_back({"heads.dep.weight", 3});
              }),
              HasSubstr("name 'heads.dep.weight'"));
}

TEST_F(OptimizerTest, TheNormIsThatOfAllGradientsBeforeTheClip) {
  Config dense = config();
  dense.parallel.exchange = "dense";
  for (const double clip : {0.0, 1e-3}) {
    dense.train.clip_norm = clip;
    comm::LocalCommunicator alone;
    RankTraining training(data(), dense, alone);
    const double norm = training.run(0).update.gradient_norm.item<double>();
    double squares = 0;
    for (const auto& parameter : training.model.parameters().all())
      if (parameter->used) squares += parameter->gradient.square().sum().item<double>();
    for (const auto& [weight, bias] : model::hyperx_of(training.model)->block().gradient().dense)
      squares += weight.square().sum().item<double>() + bias.square().sum().item<double>();
    EXPECT_NEAR(norm, std::sqrt(squares), 1e-12);
    EXPECT_GT(norm, 0.01);
  }
}

// Without a gradient an update is the decay alone: BERT's usual groups, where biases and LayerNorms have none.
TEST_F(OptimizerTest, WeightDecayShrinksWeightsOnly) {
  for (const char* method : {"hyperx", "mbert"}) {
    Config decaying = config();
    decaying.model.method = method;
    decaying.train.weight_decay = 0.5;
    comm::LocalCommunicator alone;
    RankTraining training(data(), decaying, alone);
    {
      const at::NoGradGuard no_gradient;
      for (const auto& [name, value] : training.model.parameters().named_values())
        value.add_(0.1);  // biases begin as 0
    }
    const Values before = copied_values(training);
    training.model.begin_step({{"pos", "aa"}}, true);  // marks what the pair uses; every gradient is zero
    at::Tensor losses = at::zeros({1}, at::kDouble);
    training.exchange.exchange(losses, {});
    constexpr double kRate = 0.1;
    training.optimizer.update(kRate);
    int shrunk = 0, kept = 0;
    for (const auto& [name, value] : copied_values(training)) {
      if (name.starts_with("heads.") && !name.starts_with("heads.pos")) continue;  // not in this step
      if (at::equal(value, before.at(name))) {
        EXPECT_TRUE(name.ends_with("bias") || name.find("LayerNorm") != std::string::npos ||
                    name.starts_with("embeddings.task.ner") || name.starts_with("embeddings.task.mlm") ||
                    name.starts_with("embeddings.language.bb"))
            << name << " does not decay";
        ++kept;
      } else {
        EXPECT_LT((value - before.at(name) * (1 - kRate * 0.5)).abs().max().item<double>(), 1e-12) << name;
        EXPECT_FALSE(name.ends_with("bias") || name.find("LayerNorm") != std::string::npos) << name << " decays";
        ++shrunk;
      }
    }
    EXPECT_GT(shrunk, 8) << method;
    EXPECT_GT(kept, 8) << method;
  }
}

// The generators learn as with a rate of a quarter, everything else as with the whole rate; factors and dense alike.
TEST_F(OptimizerTest, GeneratorRateIsAShareOfTheLearningRate) {
  for (const char* exchange : {"factors", "dense"}) {
    const auto after_a_step = [&](double share, double rate) {
      Config shared = config();
      shared.parallel.exchange = exchange;
      model::hyperx_options(shared).generator_rate = share;
      comm::LocalCommunicator alone;
      RankTraining training(data(), shared, alone);
      training.model.begin_step({{"pos", "aa"}}, true);
      const data::StepBatch batch = data::make_step(training.maker, training.mixture.plan(1), {});
      std::vector<data::Pair> pairs;
      for (const data::DrawSummary& draw : batch.draws)
        pairs.push_back(training.maker.pairs()[static_cast<size_t>(draw.pair)]);
      run_step(training.step, training.exchange, training.optimizer, batch, pairs, rate);
      return copied_values(training);
    };
    const Values found = after_a_step(0.25, 1e-3), whole = after_a_step(1, 1e-3), quarter = after_a_step(1, 0.25e-3);
    int generators = 0, others = 0;
    for (const auto& [name, value] : found) {
      const bool of_generator = name.starts_with("hypernetwork.");
      EXPECT_TRUE(at::equal(value, (of_generator ? quarter : whole).at(name))) << exchange << ' ' << name;
      if (!at::equal(whole.at(name), quarter.at(name))) ++(of_generator ? generators : others);
    }
    EXPECT_EQ(generators, 8);
    EXPECT_GT(others, 4);
  }
}

TEST_F(OptimizerTest, ANormThatIsNotFiniteChangesNothing) {
  comm::LocalCommunicator alone;
  RankTraining training(data(), config(), alone);
  training.run(0);
  const Values values = copied_values(training), moments = copied_moments(training);
  const auto counts = training.optimizer.counts();
  training.model.begin_step({{"pos", "aa"}}, true);
  at::Tensor losses = at::zeros({1}, at::kDouble);
  const data::StepBatch batch = data::make_step(training.maker, training.mixture.plan(1), {});
  for (const data::Batch& piece : batch.pieces) {
    const at::Tensor loss = training.model.loss(training.model.pack(piece), {9, 1, true});
    (loss * std::numeric_limits<double>::infinity()).backward();
  }
  training.exchange.exchange(losses, {});
  EXPECT_FALSE(std::isfinite(training.optimizer.update(1e-2).gradient_norm.item<double>()));
  EXPECT_EQ(gap_between(values, copied_values(training)).largest, 0);
  EXPECT_EQ(gap_between(moments, copied_moments(training)).largest, 0);
  EXPECT_EQ(counts, training.optimizer.counts());
}

}  // namespace
}  // namespace hyperx::train

// What ranks send, and how the generators' gradient is kept, must not change what is learnt: against one rank, in fp64.
#include "trainer/optimizer/gradient_exchange.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "tests/support/byte_counter.h"
#include "tests/trainer/tiny_training.h"
#include "trainer/estimate/traffic.h"

namespace hyperx::train {
namespace {

// Of values, and relative of losses and norms. Measured over all tests here: 7e-15 and 2e-15. Adam moves a value by up
// to 1e-2 a step, whatever the size of its gradient, so a wrong sign of the smallest shows.
constexpr double kLargestGap = 1e-12, kLargestFigureGap = 1e-13;

// How the ranks work together.
struct Way {
  int ranks;
  const char* exchange;
  const char* generator = "replicated";
};

Config with(Config config, const Way& way) {
  config.parallel.exchange = way.exchange;
  config.parallel.generator = way.generator;
  return config;
}

class GradientExchangeTest : public testing::Test {
 protected:
  static const TinyData& data() {
    static const TinyData data;
    return data;
  }

  void expect_same(const std::vector<Way>& ways) {
    const Trained expected = train_on(1, data(), with(config_, {1, "factors"}));
    for (const Way& way : ways) {
      const Trained found = train_on(way.ranks, data(), with(config_, way));
      const Gap gap = gap_between(expected.values, found.values),
                moments = gap_between(expected.moments, found.moments);
      const double figures = gap_between_figures(expected, found);
      const std::string name = std::to_string(way.ranks) + " ranks, " + way.exchange + ", " + way.generator;
      std::printf("%s: values %.1e (%s), moments %.1e, figures %.1e\n", name.c_str(), gap.largest, gap.where.c_str(),
                  moments.largest, figures);
      EXPECT_LT(gap.largest, kLargestGap) << name << ": " << gap.where;
      EXPECT_LT(moments.largest, kLargestGap) << name << ": " << moments.where;
      EXPECT_LT(figures, kLargestFigureGap) << name;
      EXPECT_EQ(expected.counts, found.counts) << name;
    }
    if (config_.train.clip_norm > 0) {
      EXPECT_THAT(expected.norms, testing::Each(testing::Gt(config_.train.clip_norm))) << "the clip was not active";
    }
  }

  Config config_ = [] {
    Config config = tiny_training_config();
    config.train.steps = 8;
    return config;
  }();
};

TEST_F(GradientExchangeTest, OnePairAStepClipped) {
  config_.train.clip_norm = 0.05;
  expect_same({{2, "factors"},
               {3, "factors"},
               {4, "factors"},
               {1, "dense"},
               {2, "dense"},
               {2, "gather"},
               {2, "factors", "sharded"},
               {3, "factors", "sharded"},
               {4, "factors", "sharded"}});
}

TEST_F(GradientExchangeTest, OnePairAStepNotClipped) {
  config_.train.clip_norm = 0;
  expect_same({{2, "factors"}, {2, "dense"}, {3, "factors", "sharded"}});
}

TEST_F(GradientExchangeTest, ThreePairsAStepClipped) {
  config_.train.clip_norm = 0.05;
  config_.train.pairs_per_step = 3;
  expect_same({{2, "factors"},
               {2, "gather"},
               {3, "gather"},
               {4, "gather"},
               {1, "dense"},
               {3, "dense"},
               {2, "factors", "sharded"},
               {3, "gather", "sharded"}});
}

TEST_F(GradientExchangeTest, ThreePairsAStepNotClipped) {
  config_.train.clip_norm = 0;
  config_.train.pairs_per_step = 3;
  expect_same({{2, "factors"}, {2, "gather"}, {2, "dense"}, {2, "gather", "sharded"}});
}

TEST_F(GradientExchangeTest, AHypernetworkPerLayer) {
  config_.train.clip_norm = 0.05;
  config_.train.pairs_per_step = 3;
  model::hyperx_options(config_).layer_dim = 0;
  expect_same({{2, "gather"}, {1, "dense"}, {2, "dense"}, {3, "factors", "sharded"}});
}

TEST_F(GradientExchangeTest, NoProjection) {
  config_.train.clip_norm = 0.05;
  model::hyperx_options(config_).projected_dim = 0;
  expect_same({{2, "factors"}, {1, "dense"}, {2, "dense"}, {3, "factors", "sharded"}});
}

TEST_F(GradientExchangeTest, ConditionalNorms) {
  config_.train.clip_norm = 0.05;
  config_.train.pairs_per_step = 3;
  model::hyperx_options(config_).adapter_norm_before = model::hyperx_options(config_).adapter_norm_after =
      "conditional";
  expect_same({{2, "factors"}, {2, "gather"}, {2, "dense"}, {3, "factors", "sharded"}});
}

TEST_F(GradientExchangeTest, PlainNorms) {
  config_.train.clip_norm = 0.05;
  model::hyperx_options(config_).adapter_norm_before = model::hyperx_options(config_).adapter_norm_after = "plain";
  expect_same({{2, "factors"}, {2, "dense"}, {3, "factors", "sharded"}});
}

TEST_F(GradientExchangeTest, FewerSentencesThanRanks) {
  config_.train.clip_norm = 0.05;
  config_.train.batch_sentences = 2;
  expect_same({{4, "factors"}, {3, "dense"}, {4, "factors", "sharded"}});
}

TEST_F(GradientExchangeTest, InSmallPieces) {
  config_.train.clip_norm = 0.05;
  config_.train.pairs_per_step = 2;
  config_.train.micro_batch_tokens = 30;
  expect_same({{2, "factors"}, {2, "gather"}});
}

TEST_F(GradientExchangeTest, WeightDecay) {
  config_.train.clip_norm = 0.05;
  config_.train.weight_decay = 0.1;
  expect_same({{2, "factors"}, {2, "dense"}, {3, "factors", "sharded"}});
}

// Runs the first steps of a training, with `hook` before each message of each rank.
void run_steps(const TinyData& data, const Config& config, int ranks, int64_t steps,
               const std::function<void(const comm::Communicator&, const comm::SeenCall&)>& hook,
               const std::function<void(const comm::Communicator&)>& at_end) {
  comm::ThreadRanks(ranks).run([&](comm::Communicator& inner) {
    comm::WatchedCommunicator own(inner, [&](const comm::SeenCall& call) { hook(inner, call); });
    RankTraining training(data, config, own);
    for (int64_t step = 0; step < steps; ++step) training.run(step);
    at_end(own);
  });
}

// What leaves the ranks, piece by piece, against what the communicator tells and what `estimate` foretells.
TEST_F(GradientExchangeTest, BytesSentAreThoseOfARing) {
  config_.train.precision = "fp32";  // estimate's
  config_.train.pairs = "pos:*";     // the head is in every step
  config_.train.pairs_per_step = 3;
  constexpr int64_t kSteps = 3;
  for (const int layer_dim : {4, 0})
    for (const Way& way : std::vector<Way>{{2, "factors"},
                                           {3, "factors"},
                                           {2, "gather"},
                                           {3, "gather"},
                                           {2, "dense"},
                                           {2, "factors", "sharded"},
                                           {3, "factors", "sharded"}}) {
      model::hyperx_options(config_).layer_dim = layer_dim;
      const Config config = with(config_, way);
      std::vector<comm::ByteCounter> counters;
      for (int rank = 0; rank < way.ranks; ++rank) counters.emplace_back(rank, way.ranks);
      std::atomic<int64_t> told = 0;
      run_steps(
          data(), config, way.ranks, kSteps,
          [&](const comm::Communicator& own, const comm::SeenCall& call) {
            counters[static_cast<size_t>(own.rank())].count(call);
          },
          [&](const comm::Communicator& own) { told += own.bytes_sent(); });
      int64_t sent = 0;
      for (const comm::ByteCounter& counter : counters) sent += counter.sent();
      const auto messages = std::ssize(counters[0].messages());
      const std::string name = std::to_string(way.ranks) + " ranks, " + way.exchange + ", " + way.generator;
      EXPECT_GE(sent, told) << name;
      EXPECT_LE(sent - told, messages * way.ranks) << name << ": what is rounded down in each message";

      const ModelInfo info = tiny_info(data(), config);
      const model::EncoderSpec& spec = data().encoder.spec;
      const estimate::ModelSizes sizes{spec, info.tasks, std::ssize(info.languages)};
      model::CostQuestion question{config, spec, info.tasks, std::ssize(info.languages), way.ranks, 3};
      const int64_t b = model::hyperx_options(config_).adapter_dim, theta = (2 * b + 1) * spec.hidden + b;
      estimate::StepSizes step;
      step.pairs = 3;
      step.task_shares["pos"] = 1;
      double foretold = 0;
      for (model::MessageCost message :
           estimate::messages_of(sizes, step, model::find_method_spec(config.model.method).costs(question))) {
        if (message.kind != model::MessageCost::Kind::kAllReduce && std::string(way.generator) == "sharded") {
          const int64_t share = (theta + way.ranks - 1) / way.ranks;  // all shares are as long as the longest
          message.bytes *= static_cast<double>(share * way.ranks) / static_cast<double>(theta);
        }
        foretold += message.sent(way.ranks);
      }
      EXPECT_NEAR(static_cast<double>(sent), foretold * kSteps * way.ranks, 0.5) << name;
      EXPECT_GT(sent, 10'000);
    }
}

TEST_F(GradientExchangeTest, OneRankSendsNothing) { EXPECT_EQ(train_on(1, data(), config_).bytes_sent, 0); }

// A rank whose message fails ends the step on all ranks, and nobody has updated anything.
TEST_F(GradientExchangeTest, AFailedMessageLeavesTheTrainedValues) {
  config_.train.pairs_per_step = 2;
  struct Case {
    Way way;
    const char* kind;
    int number;  // in the second step
  };
  for (const Case& each : std::vector<Case>{{{3, "factors"}, "all_reduce", 2},
                                            {{2, "gather"}, "all_reduce", 2},
                                            {{2, "gather"}, "all_gather", 2},
                                            {{3, "dense"}, "all_reduce", 2},
                                            {{3, "factors", "sharded"}, "all_gather", 2},
                                            {{3, "factors", "sharded"}, "reduce_scatter", 2},
                                            {{3, "factors", "sharded"}, "all_reduce", 4}}) {
    std::atomic<int> unchanged = 0;
    std::string error;
    const auto body = [&](comm::Communicator& inner) {
      comm::WatchedCommunicator own(
          inner, inner.rank() == 1 ? comm::fail_at(each.kind, each.number) : [](const comm::SeenCall&) {});
      RankTraining training(data(), with(config_, each.way), own);
      const auto values = [&] {
        Values copied;
        for (const auto& parameter : training.model.parameters().all())
          copied[parameter->name] = parameter->value.detach().clone();
        return copied;
      };
      training.run(0);
      const Values before = values();
      try {
        training.run(1);
      } catch (const SystemError&) {
        if (gap_between(before, values()).largest == 0) ++unchanged;
        throw;
      }
    };
    try {
      comm::ThreadRanks(each.way.ranks).run(body);
    } catch (const SystemError& failure) {
      error = failure.what();
    }
    EXPECT_EQ(error, std::string(each.kind) + " " + std::to_string(each.number) + " failed on purpose");
    EXPECT_EQ(unchanged, each.way.ranks) << each.kind;
  }
}

}  // namespace
}  // namespace hyperx::train

// What ranks send, and how the generators' gradient is kept, must not change what is learnt: the kinds of exchange
// under the real mpirun, in fp32. All other cases are in tests/trainer/optimizer/gradient_exchange_test.cpp, on
// threads.
#include <gtest/gtest.h>

#include "tests/system/workplace.h"

namespace hyperx::testing_system {
namespace {

constexpr int kSteps = 20;
// Bounds on the difference of any parameter after 20 steps: five times the rounding that was measured (9e-7, 3e-9; the
// test prints its own). Adam moves a parameter by up to the rate a step, so a wrong sign shows.
constexpr double kLargest = 4.5e-6, kRootMeanSquare = 1.5e-8;

class ExchangeTest : public SystemTest {
 protected:
  void train_with(int ranks, const std::string& name, const Options& way) {
    Options options{{"train.steps", std::to_string(kSteps)},
                    {"train.learning_rate", "1e-3"},
                    {"train.batch_sentences", "8"},
                    {"train.pairs_per_step", "3"},
                    {"train.clip_norm", "0.1"}};
    options.insert(way.begin(), way.end());
    train(ranks, name, options);
  }
};

TEST_F(ExchangeTest, EveryKindLearnsTheSame) {
  train_with(2, "factors", {{"parallel.exchange", "factors"}});
  const Tensors expected = tensors("factors", kSteps);
  for (const auto& step : steps("factors")) EXPECT_GT(step.at("grad_norm"), 0.1) << "the clip was not active";

  train_with(2, "gather", {{"parallel.exchange", "gather"}});
  train_with(2, "dense", {{"parallel.exchange", "dense"}});
  train_with(3, "sharded", {{"parallel.generator", "sharded"}});
  for (const char* name : {"gather", "dense", "sharded"}) {
    const Difference found = difference(expected, tensors(name, kSteps));
    std::printf("%s: largest %.1e (%s), root mean square %.1e\n", name, found.largest, found.where.c_str(),
                found.root_mean_square);
    EXPECT_LT(found.largest, kLargest) << name << ": " << found.where;
    EXPECT_LT(found.root_mean_square, kRootMeanSquare) << name;
    for (const char* key : {"grad_norm", "loss"}) {
      const double gap = largest_relative_difference(steps("factors"), steps(name), key);
      EXPECT_LT(gap, 1e-4) << name << ": " << key;
    }
  }
}

}  // namespace
}  // namespace hyperx::testing_system

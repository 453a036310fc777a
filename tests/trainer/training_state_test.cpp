#include "trainer/training_state.h"

#include <gtest/gtest.h>

#include <limits>

#include "model/comm/local_communicator.h"
#include "trainer/checkpoint/model_checkpoint.h"

namespace hyperx::train {
namespace {

TEST(TrainingState, AScoreOfSomethingElseStartsAnew) {
  TrainingState state;
  EXPECT_TRUE(state.take_score(0.93, "dev: pos:en accuracy"));
  EXPECT_FALSE(state.take_score(0.5, "dev: pos:en accuracy"));
  EXPECT_TRUE(state.take_score(0.5, "dev: ner:en f1"));
  EXPECT_FALSE(state.take_score(0.4, "dev: ner:en f1"));
  EXPECT_FALSE(state.take_score(std::numeric_limits<double>::quiet_NaN(), "dev: ner:en f1"));
  EXPECT_EQ(TrainingState::from_json(state.to_json(), "test").best_of, "dev: ner:en f1");
}

TEST(AgreedPrecision, AResumedRunKeepsItsOwnUnlessAnotherIsAsked) {
  comm::LocalCommunicator alone;
  EXPECT_EQ(agreed_precision("auto", "bf16", at::kCPU, alone), "bf16");
  EXPECT_EQ(agreed_precision("auto", "fp32", at::kCPU, alone), "fp32");
  EXPECT_EQ(agreed_precision("fp64", "fp32", at::kCPU, alone), "fp64");
  EXPECT_NE(agreed_precision("auto", "auto", at::kCPU, alone), "auto");  // 0.1.0 stored the word itself
}

}  // namespace
}  // namespace hyperx::train

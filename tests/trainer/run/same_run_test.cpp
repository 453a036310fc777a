#include "trainer/run/same_run.h"

#include <gmock/gmock.h>

#include "common/errors.h"
#include "model/methods/hyperx/hyperx_options.h"
#include "tests/support/errors.h"

namespace hyperx::train {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string refusal(const ModelInfo& saved, const ModelInfo& now) {
  return test::message_of(ExitCode::kBadConfig, [&] { check_same_run(saved, now, "step-0000005"); });
}

TEST(SameRunTest, WhatTheRunDependsOnIsRefused) {
  const ModelInfo saved;
  ModelInfo now;
  now.config.train.batch_sentences = 31;
  EXPECT_THAT(refusal(saved, now),
              AllOf(HasSubstr("step-0000005"), HasSubstr("train.batch_sentences is 31 here and was 32"),
                    HasSubstr("--run.dir")));
  now = saved;
  now.config.train.seed = 2;
  now.encoder_digest = known_digest("drawn with another seed");
  EXPECT_THAT(refusal(saved, now), HasSubstr("train.seed is 2 here and was 1"));
  now = saved;
  now.config.sections.edit<model::HyperXOptions>().adapter_dim = 128;
  EXPECT_THAT(refusal(saved, now), HasSubstr("hyperx.adapter_dim"));
  now = saved;
  now.encoder_digest = known_digest("another");
  EXPECT_THAT(refusal(saved, now), HasSubstr("model.encoder"));
}

TEST(SameRunTest, WhatSteersTheLearningIsToldAndTheRestPassedOver) {
  const ModelInfo saved;
  ModelInfo now;
  now.config.model.encoder = "moved";
  now.config.threads = 3;
  now.config.eval.every = 1;
  now.config.parallel.exchange = "dense";
  EXPECT_THAT(check_same_run(saved, now, ""), IsEmpty());
  now.config.train.steps = 200;
  now.corpus_digest = "another";
  EXPECT_THAT(check_same_run(saved, now, ""), ElementsAre("train.steps is 200, was 100000", HasSubstr("corpus")));
}

}  // namespace
}  // namespace hyperx::train

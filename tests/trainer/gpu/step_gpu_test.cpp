// A step on a GPU: against the CPU, as CUDA graphs against one operation after another, and beyond its memory.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/cuda.h>

#include "common/errors.h"
#include "model/comm/local_communicator.h"
#include "model/encoder/encoder_weights.h"
#include "tests/support/hyperx_of.h"
#include "tests/trainer/run_step.h"
#include "trainer/step_figures.h"
#include "trainer/training_step.h"
#ifdef HYPERX_WITH_CUDA
#include <c10/cuda/CUDACachingAllocator.h>
#endif

namespace hyperx::train {
namespace {

constexpr int64_t kHidden = 128, kHeads = 2, kInner = 256, kVocabulary = 300, kPositions = 64;

model::EncoderWeights small_encoder() {
  at::manual_seed(5);
  model::EncoderWeights encoder;
  encoder.spec = {kHidden, 3, kHeads, kInner, kVocabulary, kPositions, 2, 0, 1e-12};
  for (const auto& [name, shape] : model::encoder_tensor_shapes(encoder.spec))
    encoder.tensors[name] =
        name.find("LayerNorm.weight") != std::string::npos ? at::ones(shape) : at::randn(shape) * 0.05;
  return encoder;
}

// Sentences of other lengths at every step; a label at each third token.
data::StepBatch batch_of(int64_t step) {
  data::Batch piece;
  piece.sentence_starts = {0};
  for (int64_t s = 0; s < 6; ++s) {
    const int64_t length = 5 + (7 * s + 3 * step) % 40;
    for (int64_t i = 0; i < length; ++i) {
      if (i % 3 == 0) {
        piece.label_positions.push_back(piece.tokens());
        piece.labels.push_back((s + i + step) % 17);
        piece.label_words.push_back(static_cast<int32_t>(i / 3));
      }
      piece.input_ids.push_back((31 * s + 17 * i + step) % kVocabulary);
      piece.positions.push_back(i);
    }
    piece.sentence_starts.push_back(static_cast<int32_t>(piece.tokens()));
    piece.sentence_slots.push_back(s);
    piece.sentence_ids.push_back(s);
  }
  data::Segment segment;
  segment.token_end = static_cast<int>(piece.tokens());
  segment.sentence_end = static_cast<int>(piece.sentences());
  segment.label_end = static_cast<int>(piece.labels.size());
  segment.label_count = segment.label_end;
  piece.segments = {segment};
  data::StepBatch batch;
  batch.step = step;
  batch.draws.emplace_back();
  batch.pieces.push_back(std::move(piece));
  return batch;
}

struct Job {
  Job(at::Device device, at::ScalarType type, const Config& settings)
      : config(settings),
        model(small_encoder(), {config, data::TaskSet::of({"pos"}), {"en"}, type, device}),
        optimizer(model.parameters(), {}),
        exchange(communicator, model.parameters()),
        step(config, communicator, model) {}

  std::vector<double> losses_of(int64_t steps, double rate = 1e-3) {
    std::vector<double> losses;
    for (int64_t i = 0; i < steps; ++i)
      losses.push_back(
          StepFigures(run_step(step, exchange, optimizer, batch_of(i), {{"pos", "en"}}, rate), communicator)
              .losses()[0]);
    return losses;
  }

  Config config;
  comm::LocalCommunicator communicator;
  model::Model model;
  Optimizer optimizer;
  GradientExchange exchange;
  TrainingStep step;
};

Config settings() {
  Config config;
  model::hyperx_options(config).adapter_dim = 32;
  return config;
}

class StepOnGpu : public testing::Test {
 protected:
  void SetUp() override {
    if (!torch::cuda::is_available()) GTEST_SKIP() << "no GPU is here";
  }
};

TEST_F(StepOnGpu, TrainsAsTheCpuDoes) {
  Job host(at::kCPU, at::kFloat, settings()), device(at::Device(at::kCUDA, 0), at::kFloat, settings());
  const std::vector<double> expected = host.losses_of(20), found = device.losses_of(20);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-3 * expected[i]) << i;
  EXPECT_LT(expected.back(), expected.front());
}

// Attention's dropout is off: it is flash attention's own, whose draws follow the batch's sizes. The rate is so low
// that the rounding of one step, which follows them too, does not grow in the next.
TEST_F(StepOnGpu, GraphsComputeWhatOperationsDo) {
  Config config = settings();
  config.model.attention_dropout = 0;
  Job eager(at::Device(at::kCUDA, 0), at::kBFloat16, config);
  config.train.cuda_graphs = true;
  Job graphs(at::Device(at::kCUDA, 0), at::kBFloat16, config);
  const std::vector<double> expected = eager.losses_of(60, 1e-6), found = graphs.losses_of(60, 1e-6);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(found[i], expected[i], 2e-2 * expected[i]) << i;
}

#ifdef HYPERX_WITH_CUDA
TEST_F(StepOnGpu, ABatchBeyondTheMemoryIsSaidBeforeTheFirstStep) {
  Job job(at::Device(at::kCUDA, 0), at::kFloat, settings());
  job.losses_of(1);  // the libraries' workspaces
  c10::cuda::CUDACachingAllocator::emptyCache();
  c10::cuda::CUDACachingAllocator::setMemoryFraction(1e-4, 0);
  std::string message;
  try {
    job.step.try_out(batch_of(1), {{"pos", "en"}});
  } catch (const UserError& error) {
    message = error.what();
  }
  c10::cuda::CUDACachingAllocator::setMemoryFraction(1.0, 0);
  EXPECT_THAT(message, testing::HasSubstr("train.micro_batch_tokens"));
  job.step.try_out(batch_of(1), {{"pos", "en"}});
}
#endif

}  // namespace
}  // namespace hyperx::train

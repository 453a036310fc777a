// How often a step asks for memory: it does not depend on the machine, and every request of a large block costs time.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bench/op_profile.h"
#include "model/comm/local_communicator.h"
#include "model/encoder/encoder_weights.h"
#include "tests/support/hyperx_of.h"
#include "tests/trainer/run_step.h"
#include "trainer/training_step.h"

namespace hyperx::train {
namespace {

struct Counts {
  int64_t allocations = 0, bytes = 0;
};

constexpr int64_t kHidden = 32, kInner = 64;
constexpr int64_t kOfALayer = 43, kBeside = 102;  // 21 of them for the figures
constexpr double kValuesOfAToken = 34.2;          // times the hidden size

// One sentence of so many tokens, all labelled.
data::StepBatch batch_of(int64_t tokens) {
  data::Batch piece;
  for (int64_t i = 0; i < tokens; ++i) {
    piece.input_ids.push_back(1 + i % 30);
    piece.positions.push_back(i);
    piece.label_positions.push_back(i);
    piece.labels.push_back(i % 5);
  }
  piece.sentence_starts = {0, static_cast<int32_t>(tokens)};
  piece.sentence_slots = {0};
  data::Segment segment;
  segment.token_end = segment.label_end = segment.label_count = tokens;
  piece.segments.push_back(segment);
  data::StepBatch batch;
  batch.draws.emplace_back();
  batch.pieces.push_back(std::move(piece));
  return batch;
}

// Of one step after two that are not counted.
Counts step_of(int64_t layers, int64_t tokens) {
  model::EncoderWeights encoder;
  encoder.spec = {kHidden, layers, 2, kInner, 40, 128, 2, 0, 1e-12};
  for (const auto& [name, shape] : model::encoder_tensor_shapes(encoder.spec))
    encoder.tensors[name] = at::randn(shape) * 0.02;
  Config config;
  model::hyperx_options(config).adapter_dim = 16;
  model::Model model(encoder, {config, data::TaskSet::of({"pos"}), {"en"}, at::kFloat, at::kCPU});
  Optimizer optimizer(model.parameters(), {});
  comm::LocalCommunicator communicator;
  GradientExchange exchange(communicator, model.parameters());
  TrainingStep step(config, communicator, model);
  const data::StepBatch batch = batch_of(tokens);
  const std::vector<data::Pair> pairs{{"pos", "en"}};
  for (int i = 0; i < 2; ++i) run_step(step, exchange, optimizer, batch, pairs, 1e-4);
  const bench::OpProfile profile;
  run_step(step, exchange, optimizer, batch, pairs, 1e-4);
  return {profile.allocations(), profile.allocated_bytes()};
}

TEST(Allocations, GrowWithLayersAndNotWithTokens) {
  const int64_t two = step_of(2, 20).allocations, three = step_of(3, 20).allocations;
  std::printf("allocations of a step: %ld and %ld a layer\n", static_cast<long>(two - 2 * (three - two)),
              static_cast<long>(three - two));
  EXPECT_EQ(step_of(2, 100).allocations, two);
  EXPECT_EQ(three - two, kOfALayer);
  EXPECT_EQ(two - 2 * kOfALayer, kBeside);
}

// What a token adds a layer, forward and backward, in values: no more than these tensors of it.
TEST(Allocations, BytesOfAToken) {
  const int64_t few = step_of(3, 20).bytes - step_of(2, 20).bytes;
  const int64_t many = step_of(3, 100).bytes - step_of(2, 100).bytes;
  const double values = static_cast<double>(many - few) / 80 / 4;
  const double attention = 2 * (100.0 * 100.0 - 20.0 * 20.0) / 80;  // probabilities of two heads
  std::printf("values a token and layer: %.1f of hidden size\n", (values - attention) / kHidden);
  EXPECT_LE((values - attention) / kHidden, kValuesOfAToken);
}

}  // namespace
}  // namespace hyperx::train

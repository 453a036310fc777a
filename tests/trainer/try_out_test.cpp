// The trial of the largest batch, where memory runs out at one tensor after another.
#include <c10/core/CPUAllocator.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "common/errors.h"
#include "model/comm/local_communicator.h"
#include "tests/trainer/run_step.h"
#include "tests/trainer/tiny_model.h"
#include "trainer/training_step.h"

namespace hyperx::train {
namespace {

// While it lives, there is no memory for one tensor: that after so many others (-1: none such).
class LimitedMemory final : public c10::Allocator {
 public:
  explicit LimitedMemory(int64_t others) : others_(others), whole_(c10::GetCPUAllocator()) {
    c10::SetCPUAllocator(this);
  }
  ~LimitedMemory() override { c10::SetCPUAllocator(whole_); }
  LimitedMemory(const LimitedMemory&) = delete;
  LimitedMemory& operator=(const LimitedMemory&) = delete;

  int64_t asked() const { return asked_; }
  c10::DataPtr allocate(size_t bytes) override {
    TORCH_CHECK_WITH(OutOfMemoryError, asked_++ != others_, "no memory for ", bytes, " bytes");
    return whole_->allocate(bytes);
  }
  c10::DeleterFnPtr raw_deleter() const override { return whole_->raw_deleter(); }
  void copy_data(void* to, const void* from, size_t bytes) const override { whole_->copy_data(to, from, bytes); }

 private:
  int64_t others_, asked_ = 0;
  c10::Allocator* whole_;
};

data::StepBatch batch_of_two() {
  data::StepBatch batch;
  batch.draws.resize(2);
  batch.draws[0] = {.sentences = 1, .tokens = 4, .label_count = 2};
  batch.draws[1] = {.sentences = 1, .tokens = 3, .label_count = 1};
  batch.pieces.push_back(two_sentences());
  return batch;
}

struct Job {
  Job()
      : model((torch::manual_seed(5), tiny_encoder()),
              {tiny_config(), {data::task_info("ner"), data::task_info("pos")}, {"en", "tr"}, at::kFloat, at::kCPU}),
        optimizer(model.parameters(), {}),
        exchange(communicator, model.parameters()),
        step(config, communicator, model) {}

  at::Tensor whole_step() { return run_step(step, exchange, optimizer, batch_of_two(), pairs, 1e-3).losses; }

  const std::vector<data::Pair> pairs{{"pos", "en"}, {"ner", "tr"}};
  Config config;
  comm::LocalCommunicator communicator;
  model::Model model;
  Optimizer optimizer;
  GradientExchange exchange;
  TrainingStep step;
};

TEST(TryOut, ABatchBeyondTheMemoryIsSaidAndLeavesNothingBehind) {
  Job untried, tried;
  const auto trial = [&] { tried.step.try_out(batch_of_two(), tried.pairs); };
  trial();  // the first asks for what stays
  const int64_t whole = [&] {
    const LimitedMemory memory(-1);
    trial();
    return memory.asked();
  }();
  ASSERT_GT(whole, 200);
  for (int64_t others = 0; others < whole; others += 7) {
    std::string message;
    try {
      const LimitedMemory memory(others);
      trial();
    } catch (const UserError& error) {
      EXPECT_EQ(error.code(), ExitCode::kBadConfig);
      message = error.what();
    }
    EXPECT_THAT(message, testing::HasSubstr("2 sentences of 7 tokens")) << others;
    EXPECT_THAT(message, testing::HasSubstr("no memory for"));
    EXPECT_THAT(message, testing::HasSubstr("train.micro_batch_tokens below 7"));
  }
  const at::Tensor expected = untried.whole_step();
  EXPECT_TRUE(torch::equal(tried.whole_step(), expected));
  for (size_t i = 0; i < untried.model.parameters().all().size(); ++i)
    EXPECT_TRUE(torch::equal(tried.model.parameters().all()[i]->value, untried.model.parameters().all()[i]->value))
        << i;
}

}  // namespace
}  // namespace hyperx::train

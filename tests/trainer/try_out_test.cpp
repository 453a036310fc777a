// The trial of the largest batch, where memory runs out at one tensor after another.
#include <ATen/ATen.h>
#include <c10/core/CPUAllocator.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <memory>
#include <optional>
#include <thread>

#include "common/errors.h"
#include "model/comm/local_communicator.h"
#include "tests/trainer/run_step.h"
#include "tests/trainer/tiny_training.h"
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

// While it lives, the tensors of one thread have so many bytes together, as on a GPU of its own. Small ones do not
// count: a GPU's allocator keeps blocks for them.
class CappedMemory final : public c10::Allocator {
 public:
  explicit CappedMemory(size_t bytes) : capacity_(bytes), whole_(c10::GetCPUAllocator()) { c10::SetCPUAllocator(this); }
  ~CappedMemory() override { c10::SetCPUAllocator(whole_); }
  CappedMemory(const CappedMemory&) = delete;
  CappedMemory& operator=(const CappedMemory&) = delete;

  size_t peak() const { return used_->peak; }
  c10::DataPtr allocate(size_t bytes) override {
    constexpr size_t kSmall = 512;
    if (std::this_thread::get_id() != thread_ || bytes < kSmall) return whole_->allocate(bytes);
    TORCH_CHECK_WITH(OutOfMemoryError, used_->now + bytes <= capacity_, "no memory for ", bytes, " bytes");
    used_->now += bytes;
    used_->peak = std::max(used_->peak, used_->now.load());
    auto* const block = new Block{whole_->allocate(bytes), used_, bytes};
    return {block->data.get(), block, free_block, at::kCPU};
  }
  void copy_data(void* to, const void* from, size_t bytes) const override { whole_->copy_data(to, from, bytes); }

 private:
  struct Used {
    std::atomic<size_t> now = 0;
    size_t peak = 0;
  };
  struct Block {
    c10::DataPtr data;
    std::shared_ptr<Used> used;  // tensors may outlive the allocator
    size_t bytes;
  };
  static void free_block(void* pointer) {
    const std::unique_ptr<Block> block(static_cast<Block*>(pointer));
    block->used->now -= block->bytes;
  }

  const std::thread::id thread_ = std::this_thread::get_id();
  size_t capacity_;
  c10::Allocator* whole_;
  const std::shared_ptr<Used> used_ = std::make_shared<Used>();
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
      : model((at::manual_seed(5), tiny_encoder()),
              {tiny_config(), data::TaskSet::of({"ner", "pos"}), {"en", "tr"}, at::kFloat, at::kCPU}),
        optimizer(model.parameters(), {}),
        exchange(communicator, model.parameters()),
        step(config, communicator, model) {}

  at::Tensor whole_step() { return run_step(step, exchange, optimizer, batch_of_two(), pairs, 1e-3).figures; }

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
  EXPECT_TRUE(at::equal(tried.whole_step(), expected));
  for (size_t i = 0; i < untried.model.parameters().all().size(); ++i)
    EXPECT_TRUE(at::equal(tried.model.parameters().all()[i]->value, untried.model.parameters().all()[i]->value)) << i;
}

// Where theta is put together from all ranks' shares, a rank without memory for it says so before the others wait.
class SharedTheta : public testing::Test {
 protected:
  SharedTheta() {
    config_.parallel.generator = "sharded";
    config_.train.pairs_per_step = 2;
  }

  // What each of two ranks says to a trial where rank 1 has so many bytes.
  std::vector<std::string> messages_with(size_t bytes) {
    std::vector<std::string> messages(2);
    comm::ThreadRanks(2).run([&](comm::Communicator& ranks) {
      RankTraining training(data_, config_, ranks);
      const data::StepBatch batch = data::make_step(training.maker, training.mixture.plan(0),
                                                    {ranks.rank(), 2, training.exchange.share_mode(), 0});
      std::vector<data::Pair> pairs;
      for (const data::DrawSummary& draw : batch.draws)
        pairs.push_back(training.maker.pairs()[static_cast<size_t>(draw.pair)]);
      ranks.barrier();
      std::optional<CappedMemory> memory;
      if (ranks.rank() == 1) memory.emplace(bytes);
      try {
        training.step.try_out(batch, pairs);
      } catch (const UserError& error) {
        messages[static_cast<size_t>(ranks.rank())] = error.what();
      }
      if (memory) peak_ = memory->peak();
      ranks.barrier();
    });
    return messages;
  }

  const TinyData data_;
  Config config_ = tiny_training_config();
  size_t peak_ = 0;
};

TEST_F(SharedTheta, ARankWithoutMemoryForItStopsAllRanks) {
  EXPECT_THAT(messages_with(std::numeric_limits<size_t>::max()), testing::Each(""));
  const size_t peak = peak_;
  ASSERT_GT(peak, 20'000);
  for (size_t bytes = 0; bytes < peak; bytes += 1000)
    EXPECT_THAT(messages_with(bytes), testing::Each(testing::HasSubstr("train.micro_batch_tokens"))) << bytes;
}

}  // namespace
}  // namespace hyperx::train

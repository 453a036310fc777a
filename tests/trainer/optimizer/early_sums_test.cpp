#include "trainer/optimizer/early_sums.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "tests/trainer/tiny_training.h"

namespace hyperx::train {
namespace {

constexpr int64_t kBucketBytes = 4096;  // the tiny encoder in fp64 has 8 such buckets

// Sums as another communicator does, and claims that it does so beside other work. Notes each start.
class BesideCommunicator final : public comm::Communicator {
 public:
  struct Start {
    int64_t elements;
    bool in_backward;
  };
  explicit BesideCommunicator(comm::Communicator& inner) : Communicator(inner.info()), inner_(inner) {}
  const char* backend() const override { return "beside"; }
  bool sums_run_beside() const override { return true; }
  std::vector<Start> starts;
  bool in_backward = false;
  int finished = 0;

 protected:
  void do_start_all_reduce(at::Tensor& tensor) override {
    starts.push_back({tensor.numel(), in_backward});
    inner_.all_reduce(tensor);
  }
  void do_finish_sums() override { ++finished; }
  void do_broadcast(at::Tensor& tensor, int root) override { inner_.broadcast(tensor, root); }
  void do_all_reduce(at::Tensor& tensor) override { inner_.all_reduce(tensor); }
  void do_all_gather(const at::Tensor& input, at::Tensor& output, const std::vector<int64_t>& counts) override {
    inner_.all_gather_v(input, output, counts);
  }
  void do_reduce_scatter(const at::Tensor& input, at::Tensor& output) override { inner_.reduce_scatter(input, output); }
  void do_barrier() override { inner_.barrier(); }
  void do_reduce_control(std::vector<int64_t>& values, bool maximum) override {
    values = maximum ? inner_.all_reduce_max(std::move(values)) : inner_.all_reduce_sum(std::move(values));
  }
  void do_broadcast_bytes(std::string& bytes, int root) override { inner_.broadcast_bytes(bytes, root); }

 private:
  comm::Communicator& inner_;
};

struct Rank {
  Values values;
  std::vector<BesideCommunicator::Start> starts;
};

class EarlySumsTest : public testing::Test {
 protected:
  static const TinyData& data() {
    static const TinyData data;
    return data;
  }
  EarlySumsTest() { config_.model.method = "mbert"; }

  // A training whose sums start early, or with `watches` false in the exchange.
  std::vector<Rank> train(int ranks, bool watches) {
    std::vector<Rank> found(static_cast<size_t>(ranks));
    comm::ThreadRanks(ranks).run([&](comm::Communicator& inner) {
      BesideCommunicator communicator(inner);
      RankTraining training(data(), config_, communicator);
      GradientExchange exchange(communicator, training.model.parameters(), kBucketBytes);
      for (int64_t step = 0; step < config_.train.steps; ++step) {
        const data::StepBatch batch =
            data::make_step(training.maker, training.mixture.plan(step),
                            {inner.rank(), ranks, exchange.share_mode(), config_.train.micro_batch_tokens});
        std::vector<data::Pair> pairs;
        for (const data::DrawSummary& draw : batch.draws)
          pairs.push_back(training.maker.pairs()[static_cast<size_t>(draw.pair)]);
        communicator.in_backward = true;
        at::Tensor figures = training.step.forward_backward(batch, pairs, watches ? &exchange : nullptr);
        communicator.in_backward = false;
        exchange.exchange(figures, batch.owners);
        training.optimizer.update(config_.train.learning_rate);
      }
      EXPECT_EQ(communicator.finished, config_.train.steps);
      found[static_cast<size_t>(inner.rank())] = {copied_values(training), communicator.starts};
    });
    return found;
  }

  Config config_ = tiny_training_config();
};

std::vector<int64_t> sizes_of(const Rank& rank) {
  std::vector<int64_t> sizes;
  for (const auto& start : rank.starts) sizes.push_back(start.elements);
  return sizes;
}

int64_t early_ones(const Rank& rank) {
  return std::count_if(rank.starts.begin(), rank.starts.end(), [](const auto& start) { return start.in_backward; });
}

TEST_F(EarlySumsTest, StartInBackwardInOneOrderAndChangeNothing) {
  const auto early = train(3, true), late = train(3, false);
  const Values plain = train_on(3, data(), config_).values;
  for (const Rank& rank : early) {
    EXPECT_EQ(sizes_of(rank), sizes_of(early[0])) << "the same sums in the same order on all ranks";
    EXPECT_GT(std::ssize(rank.starts), 4 * config_.train.steps);
    EXPECT_GT(early_ones(rank), std::ssize(rank.starts) / 2);
  }
  EXPECT_EQ(early_ones(late[0]), 0);
  EXPECT_EQ(sizes_of(late[0]), sizes_of(early[0]));
  EXPECT_EQ(gap_between(early[0].values, late[0].values).largest, 0);
  EXPECT_EQ(gap_between(early[0].values, plain).largest, 0);
}

TEST_F(EarlySumsTest, WaitForTheLastPieceOfTheRank) {
  config_.train.steps = 6;
  const Values whole = train(2, true)[0].values;
  config_.train.micro_batch_tokens = 12;
  const auto pieces = train(2, true);
  EXPECT_GT(early_ones(pieces[0]), 0);
  EXPECT_LT(gap_between(whole, pieces[0].values).largest, 1e-9);
}

// Ranks without a sentence have no backward pass: they send the same sums afterwards.
TEST_F(EarlySumsTest, RanksWithoutSentencesTakePart) {
  config_.train.batch_sentences = 2;
  config_.train.steps = 6;
  const auto ranks = train(3, true);
  const auto without = std::min_element(ranks.begin(), ranks.end(),
                                        [](const Rank& a, const Rank& b) { return early_ones(a) < early_ones(b); });
  EXPECT_LT(early_ones(*without), early_ones(ranks[0]));
  for (const Rank& rank : ranks) {
    EXPECT_EQ(sizes_of(rank), sizes_of(ranks[0]));
    EXPECT_EQ(gap_between(rank.values, ranks[0].values).largest, 0);
  }
  EXPECT_LT(gap_between(ranks[0].values, train_on(1, data(), config_).values).largest, 1e-9);
}

}  // namespace
}  // namespace hyperx::train

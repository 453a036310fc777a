#include "model/comm/thread_ranks.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <atomic>

#include "common/errors.h"
#include "tests/support/byte_counter.h"
#include "tests/support/watched_communicator.h"

namespace hyperx::comm {
namespace {

using testing::HasSubstr;

// What run() rethrows; empty: nothing.
std::string error_of(ThreadRanks& ranks, const std::function<void(Communicator&)>& body) {
  try {
    ranks.run(body);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

TEST(ThreadRanks, EveryRankIsThereOnce) {
  for (const int size : {1, 2, 5}) {
    std::vector<std::atomic<int>> seen(static_cast<size_t>(size));
    ThreadRanks(size).run([&](Communicator& ranks) {
      EXPECT_EQ(ranks.size(), size);
      EXPECT_EQ(ranks.info().hosts.size(), static_cast<size_t>(size));
      ++seen[static_cast<size_t>(ranks.rank())];
    });
    for (const auto& times : seen) EXPECT_EQ(times, 1);
  }
}

// 1e16 + 1 - 1e16 depends on the order, and so do the bits of what is not rounded once.
TEST(ThreadRanks, SumsAreInRankOrder) {
  const std::vector<float> values{1e16F, 1, -1e16F, 0.25F};
  ThreadRanks(4).run([&](Communicator& ranks) {
    const at::Tensor sum = at::full({3}, values[static_cast<size_t>(ranks.rank())]);
    ranks.all_reduce(sum);
    EXPECT_TRUE(at::equal(sum, at::full({3}, ((1e16 + 1) - 1e16) + 0.25, at::kFloat)));
    const at::Tensor input = at::full({8}, values[static_cast<size_t>(ranks.rank())]);
    const at::Tensor own = input.slice(0, 2 * ranks.rank(), 2 * ranks.rank() + 2);
    ranks.reduce_scatter(input, own);  // into its own part
    EXPECT_TRUE(at::equal(own, at::full({2}, ((1e16 + 1) - 1e16) + 0.25, at::kFloat)));
  });
}

TEST(ThreadRanks, GathersAndBroadcasts) {
  ThreadRanks(3).run([](Communicator& ranks) {
    const int rank = ranks.rank();
    const at::Tensor all = at::zeros({3}, at::kLong);
    ranks.all_gather_v(at::full({rank}, 10 * rank, at::kLong), all, {0, 1, 2});
    EXPECT_TRUE(at::equal(all, at::tensor({10, 20, 20}, at::kLong)));
    const at::Tensor tensor = at::full({4}, rank, at::kByte);
    ranks.broadcast(tensor, 2);
    EXPECT_TRUE(at::equal(tensor, at::full({4}, 2, at::kByte)));
    std::string text(static_cast<size_t>(rank), 'x');
    ranks.broadcast_bytes(text, 1);
    EXPECT_EQ(text, "x");
    EXPECT_EQ(ranks.all_reduce_max({rank, -rank}), (std::vector<int64_t>{2, 0}));
    EXPECT_EQ(ranks.all_reduce_sum({rank, 1}), (std::vector<int64_t>{3, 3}));
  });
}

TEST(ThreadRanks, NobodyLeavesABarrierBeforeAllAreThere) {
  std::atomic<int> entered = 0;
  ThreadRanks(4).run([&](Communicator& ranks) {
    for (int round = 1; round <= 200; ++round) {
      ++entered;
      ranks.barrier();
      EXPECT_GE(entered, 4 * round);
    }
  });
}

TEST(ThreadRanks, ARankThatThrowsWakesTheOthers) {
  ThreadRanks ranks(3);
  std::atomic<int> woken = 0;
  const auto body = [&](Communicator& own) {
    own.barrier();
    if (own.rank() == 1) throw UserError(ExitCode::kBadData, "corpus/en.h5 is damaged");
    try {
      own.all_reduce(at::ones({2}));
    } catch (const SystemError& error) {
      EXPECT_THAT(error.what(), HasSubstr("all_reduce in vain: rank 1 failed: corpus/en.h5 is damaged"));
      ++woken;
      throw;
    }
  };
  EXPECT_EQ(error_of(ranks, body), "corpus/en.h5 is damaged");
  EXPECT_EQ(woken, 2);
  EXPECT_EQ(error_of(ranks, [](Communicator& own) { own.barrier(); }), "") << "a later run is a new one";
}

TEST(ThreadRanks, ARankThatEndsEarlyWakesTheOthers) {
  ThreadRanks ranks(2);
  EXPECT_THAT(error_of(ranks,
                       [](Communicator& own) {
                         if (own.rank() == 0) own.barrier();
                       }),
              HasSubstr("rank 0 waits in barrier in vain: rank 1 ended"));
}

TEST(ThreadRanks, OtherCallsAndOtherSizesAreErrors) {
  ThreadRanks ranks(2);
  EXPECT_THAT(error_of(ranks, [](Communicator& own) { own.all_reduce(at::ones({1 + own.rank()})); }),
              HasSubstr("rank 0 all_reduce of 1 Float, root 0; rank 1 all_reduce of 2 Float"));
  EXPECT_THAT(error_of(ranks, [](Communicator& own) { own.broadcast(at::ones({1}), own.rank()); }),
              HasSubstr("different calls"));
  EXPECT_THAT(error_of(ranks,
                       [](Communicator& own) {
                         if (own.rank() == 0)
                           own.barrier();
                         else
                           own.all_reduce_max({1});
                       }),
              HasSubstr("rank 0 barrier of 0 Byte, root 0; rank 1 all_reduce_max of 1 Long"));
}

TEST(ThreadRanks, AnAbortEndsWaiting) {
  ThreadRanks ranks(2);
  EXPECT_THAT(error_of(ranks,
                       [](Communicator& own) {
                         if (own.rank() == 0) return own.barrier();
                         own.request_abort();
                       }),
              HasSubstr("rank 1 gave up"));
}

TEST(WatchedCommunicator, FailsAtTheCallAskedFor) {
  ThreadRanks ranks(2);
  std::atomic<int> sums = 0;
  const auto body = [&](Communicator& inner) {
    WatchedCommunicator own(
        inner, inner.rank() == 1 ? fail_at("all_reduce", 3) : [](const SeenCall&) {});
    for (int i = 0; i < 5; ++i) {
      own.barrier();
      own.all_reduce(at::ones({4}));
      ++sums;
    }
  };
  EXPECT_EQ(error_of(ranks, body), "all_reduce 3 failed on purpose");
  EXPECT_EQ(sums, 2 * 2);
}

// Against the formula of Communicator::bytes_sent(), which is the mean over ranks, rounded down.
TEST(ByteCounter, AgreesWithTheRingsFormula) {
  for (const int size : {2, 3, 4}) {
    std::vector<int64_t> counted(static_cast<size_t>(size)), told(counted);
    ThreadRanks(size).run([&](Communicator& inner) {
      ByteCounter counter(inner.rank(), inner.size());
      WatchedCommunicator own(inner, [&](const SeenCall& call) { counter.count(call); });
      for (const int64_t elements : {1, 12, 1000, 5003}) {
        own.all_reduce(at::ones({elements}));
        own.reduce_scatter(at::ones({elements * size}, at::kDouble), at::empty({elements}, at::kDouble));
        own.all_gather(at::ones({elements}), at::empty({elements * size}));
      }
      own.all_reduce_max({1, 2, 3});
      counted[static_cast<size_t>(own.rank())] = counter.sent();
      told[static_cast<size_t>(own.rank())] = own.bytes_sent();
      EXPECT_EQ(counter.messages().size(), 13U);
      EXPECT_EQ(own.bytes_sent(), inner.bytes_sent());
    });
    int64_t difference = 0, all = 0;
    for (size_t rank = 0; rank < counted.size(); ++rank) {
      difference += counted[rank] - told[rank];
      all += counted[rank];
    }
    EXPECT_GT(all, 100'000);
    EXPECT_GE(difference, 0);
    EXPECT_LE(difference, 5 * size) << "what is rounded down in each of five messages";
  }
}

}  // namespace
}  // namespace hyperx::comm

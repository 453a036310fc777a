#include "trainer/comm/rank_files.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/folder.h"

namespace hyperx::comm {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

RankState state_of(int rank, int64_t collective, const std::string& name, bool inside, int64_t written = 1000) {
  return {.job = "job",
          .rank = rank,
          .host = rank < 2 ? "a" : "b",
          .section = "step",
          .step = 17,
          .collective = collective,
          .collective_name = name,
          .inside = inside,
          .written_seconds = written};
}

const std::vector<std::string> kHosts = {"a", "a", "b"};

TEST(RankState, ReadsBackWhatItWrites) {
  const auto back = parse_rank_state(format_rank_state(state_of(2, 41, "all_reduce", true, 77)));
  ASSERT_TRUE(back);
  EXPECT_EQ(format_rank_state(*back), format_rank_state(state_of(2, 41, "all_reduce", true, 77)));
  EXPECT_EQ(back->step, 17);
  EXPECT_TRUE(back->inside);
}

TEST(RankState, ATornLineIsNoState) {
  const std::string line = format_rank_state(state_of(2, 41, "all_reduce", true, 77));
  for (size_t length = 0; length + 1 < line.size(); ++length)
    EXPECT_FALSE(parse_rank_state(line.substr(0, length))) << length;
}

TEST(RankState, PiecesOfTwoLinesAreNoState) {
  const std::string before = format_rank_state(state_of(2, 99, "all_reduce", true, 77));
  const std::string after = format_rank_state(state_of(2, 100, "all_reduce_max", false, 78));
  for (size_t length = 0; length < before.size(); ++length) {
    const std::string torn = after.substr(0, length) + before.substr(length);
    EXPECT_EQ(parse_rank_state(torn).has_value(), torn == before || torn == after) << torn;
  }
}

TEST(Laggards, TheLowestNumberIsWaitedFor) {
  const auto text = describe_laggards(
      {state_of(0, 42, "all_reduce", true), state_of(1, 41, "broadcast", false), state_of(2, 42, "all_reduce", true)},
      kHosts, 1000, 5);
  EXPECT_EQ(text,
            "the others, at all_reduce no. 42, wait for rank 1 on a (section step, step 17, after broadcast no. 41)");
}

TEST(Laggards, SilenceIsTold) {
  const auto text = describe_laggards(
      {state_of(0, 42, "barrier", true), state_of(1, 42, "barrier", true), state_of(2, 41, "barrier", false, 900)},
      kHosts, 1000, 5);
  EXPECT_THAT(text, AllOf(HasSubstr("wait for rank 2 on b"), HasSubstr("silent for 100 s"), Not(HasSubstr("rank 1"))));
}

TEST(Laggards, NothingHeard) {
  const auto text = describe_laggards({state_of(0, 1, "barrier", true), std::nullopt, std::nullopt}, kHosts, 1000, 5);
  EXPECT_THAT(text, HasSubstr("nothing was heard from rank 1 on a, rank 2 on b"));
}

TEST(Laggards, DifferentCalls) {
  const auto text = describe_laggards(
      {state_of(0, 42, "all_reduce", true), state_of(1, 42, "barrier", true), state_of(2, 42, "all_reduce", true)},
      kHosts, 1000, 5);
  EXPECT_THAT(text, AllOf(HasSubstr("different calls"),
                          HasSubstr("rank 1 on a (section step, step 17, inside barrier no. 42")));
}

TEST(Laggards, NobodyIsBehind) {
  const auto text =
      describe_laggards({state_of(0, 0, "none", false), state_of(1, 0, "none", false)}, {"a", "a"}, 1000, 5);
  EXPECT_THAT(text, AllOf(HasSubstr("no rank is behind"), HasSubstr("after no collective")));
}

TEST(Laggards, AThousandRanksAreNotAllListed) {
  std::vector<std::optional<RankState>> states(1000);
  const auto text = describe_laggards(states, std::vector<std::string>(1000, "a"), 1000, 5);
  EXPECT_THAT(text, AllOf(HasSubstr("rank 7 on a and 992 more"), Not(HasSubstr("rank 8 "))));
}

class RankFilesTest : public testing::Test {
 protected:
  static RankInfo info(int rank, const std::string& job = "job") {
    return {.rank = rank, .size = 3, .local_rank = rank, .local_size = 3, .hosts = kHosts, .job = job};
  }
  const test::TemporaryFolder scratch_;
  const std::string folder_ = scratch_.path();
};

TEST_F(RankFilesTest, EachRankReadsAll) {
  const RankFiles zero(folder_, info(0)), two(folder_, info(2));
  EXPECT_TRUE(zero.publish(state_of(0, 3, "barrier", true)));
  EXPECT_TRUE(two.publish(state_of(2, 4, "barrier", true)));
  const auto states = zero.read_all();
  ASSERT_EQ(states.size(), 3U);
  EXPECT_EQ(states[0]->collective, 3);
  EXPECT_FALSE(states[1]);
  EXPECT_EQ(states[2]->collective, 4);
  two.remove_own();
  EXPECT_FALSE(zero.read_all()[2]);
}

TEST_F(RankFilesTest, AReaderBesideAWriterSeesWholeLines) {
  const RankFiles zero(folder_, info(0)), one(folder_, info(1));
  std::atomic<bool> done{false};
  ASSERT_TRUE(one.publish(state_of(1, 0, "none", false)));
  std::thread writer([&] {
    for (int64_t number = 0; !done; ++number) {  // of all lengths, and the number stands in two places
      const auto collective = int64_t{1} << (number % 60);
      one.publish(state_of(1, collective, number % 2 == 0 ? "barrier" : "all_reduce_max", true, collective));
    }
  });
  int heard = 0;
  for (int look = 0; look < 3000; ++look) {
    const auto state = zero.read_all()[1];
    if (!state) continue;  // torn: looked for again
    ++heard;
    EXPECT_TRUE(state->collective == 0 || state->collective == state->written_seconds);
  }
  done = true;
  writer.join();
  EXPECT_GT(heard, 1500);
}

TEST_F(RankFilesTest, AnotherJobsFilesAreNotHeard) {
  const RankFiles former(folder_, info(1, "former"));
  auto old = state_of(1, 99, "barrier", true);
  old.job = "former";
  former.publish(old);
  EXPECT_TRUE(former.claim_report());
  const RankFiles one(folder_, info(1));
  EXPECT_FALSE(one.read_all()[1]);
  const RankFiles zero(folder_, info(0));  // rank 0 clears them away
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(RankFilesTest, OneRankReports) {
  const RankFiles zero(folder_, info(0)), one(folder_, info(1));
  EXPECT_TRUE(one.claim_report());
  EXPECT_FALSE(zero.claim_report());
  EXPECT_FALSE(one.claim_report());
  EXPECT_TRUE(RankFiles().claim_report());
}

TEST_F(RankFilesTest, AFailedWriteIsTold) {
  const RankFiles zero(folder_, info(0));
  std::filesystem::create_directories(folder_ + "/rank-0.alive");
  EXPECT_FALSE(zero.publish(state_of(0, 1, "barrier", true)));
}

}  // namespace
}  // namespace hyperx::comm

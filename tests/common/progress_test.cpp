#include "common/progress.h"

#include <gmock/gmock.h>

#include <sstream>
#include <thread>

namespace hyperx {
namespace {

TEST(Format, CountsKeepThreeDigits) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(7), "7");
  EXPECT_EQ(format_count(0.25), "0.25");
  EXPECT_EQ(format_count(12.345), "12.3");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(999.7), "1.00k");
  EXPECT_EQ(format_count(41230), "41.2k");
  EXPECT_EQ(format_count(999949), "1.00M");
  EXPECT_EQ(format_count(76088320), "76.1M");
  EXPECT_EQ(format_count(3e20), "300000P");
}

TEST(Format, Bytes) {
  EXPECT_EQ(format_bytes(950), "950 B");
  EXPECT_EQ(format_bytes(41200), "41.2 kB");
  EXPECT_EQ(format_bytes(3.1e9), "3.10 GB");
}

TEST(Format, Durations) {
  EXPECT_EQ(format_duration(0), "0:00");
  EXPECT_EQ(format_duration(21.9), "0:21");
  EXPECT_EQ(format_duration(149), "2:29");
  EXPECT_EQ(format_duration(3723), "1:02:03");
  EXPECT_EQ(format_duration(100 * 86400 - 1), "2399:59:59");
  EXPECT_EQ(format_duration(11291.4 * 86400), "11291 days");
  EXPECT_EQ(format_duration(360000), "100:00:00");
  EXPECT_EQ(format_duration(-1), "0:00");
}

struct Clock {
  double seconds = 100;
  std::ostringstream output;
  Progress::Options options(bool terminal, bool quiet = false) {
    return {.quiet = quiet, .output = &output, .terminal = terminal, .now = [this] { return seconds; }};
  }
};

TEST(Progress, WritesWholeLinesToAFileEveryTenSeconds) {
  Clock clock;
  Progress progress("tokenise", 100000, "sentences", clock.options(false));
  for (int second = 1; second <= 24; ++second) {
    clock.seconds += 1;
    progress.update(second * 1000);
  }
  EXPECT_EQ(clock.output.str(),
            "tokenise 2000/100000 sentences | 1.00k sentences/s | elapsed 0:02 left 1:38\n"
            "tokenise 12000/100000 sentences | 1.00k sentences/s | elapsed 0:12 left 1:28\n"
            "tokenise 22000/100000 sentences | 1.00k sentences/s | elapsed 0:22 left 1:18\n");
  clock.output.str("");
  progress.update(100000);
  progress.finish();
  progress.finish();
  EXPECT_EQ(clock.output.str(), "tokenise 100000/100000 sentences | 4.17k sentences/s | elapsed 0:24\n");
}

TEST(Progress, RedrawsOneLineOnATerminal) {
  Clock clock;
  {
    Progress progress("copy", 1000, "files", clock.options(true));
    for (const int64_t done : {1, 10, 999}) {
      clock.seconds += 1.5;
      progress.update(done);
    }
    EXPECT_EQ(clock.output.str(), "\rcopy 10/1000 files | 3.33 files/s | elapsed 0:03 left 4:57");
    clock.seconds += 0.5;
    progress.update(1000);
  }
  const std::string redrawn = "\rcopy 1000/1000 files | 200 files/s | elapsed 0:05";
  EXPECT_THAT(clock.output.str(), testing::HasSubstr(redrawn + std::string(58 - redrawn.size(), ' ')));
  EXPECT_THAT(clock.output.str(), testing::EndsWith("\n"));
}

TEST(Progress, SaysNothingOfShortWorkNorOnOtherRanks) {
  Clock clock;
  {
    Progress progress("short", 10, "files", clock.options(false));
    clock.seconds += 1.9;
    progress.update(10);
  }
  {
    Progress progress("long", 10, "files", clock.options(false, true));
    clock.seconds += 50;
    progress.update(5);
  }
  EXPECT_EQ(clock.output.str(), "");
}

TEST(Progress, LeavesOutWhatItCannotKnow) {
  Clock clock;
  Progress progress("read", 0, "lines", clock.options(false));
  clock.seconds += 2;
  progress.update(0);
  EXPECT_EQ(clock.output.str(), "read 0 lines | 0 lines/s | elapsed 0:02\n");
}

TEST(Progress, CountsWhatManyThreadsAdvance) {
  Clock clock;
  Progress progress("count", 40000, "lines", clock.options(false));
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10000; ++i) progress.advance();
    });
  }
  for (std::thread& thread : threads) thread.join();
  clock.seconds += 4;
  progress.advance(0);
  EXPECT_EQ(clock.output.str(), "count 40000/40000 lines | 10.0k lines/s | elapsed 0:04\n");
}

}  // namespace
}  // namespace hyperx

#include "trainer/comm/stop_request.h"

#include <gtest/gtest.h>

#include <csignal>

namespace hyperx::comm {
namespace {

TEST(StopRequest, KeepsTheFirstSignal) {
  const StopRequest stop;
  EXPECT_EQ(stop.signal(), 0);
  std::raise(SIGUSR1);
  std::raise(SIGTERM);
  EXPECT_EQ(stop.signal(), SIGUSR1);
  EXPECT_STREQ(StopRequest::name(stop.signal()), "SIGUSR1");
}

TEST(StopRequest, EachSignal) {
  for (const int signal : {SIGTERM, SIGUSR1, SIGINT}) {
    const StopRequest stop;  // also: the one before left no flag behind
    EXPECT_EQ(stop.signal(), 0);
    std::raise(signal);
    EXPECT_EQ(stop.signal(), signal);
  }
}

TEST(StopRequest, PutsTheFormerHandlerBack) {
  static volatile sig_atomic_t seen = 0;
  std::signal(SIGUSR1, [](int) { seen = 1; });
  {
    const StopRequest stop;
    std::raise(SIGUSR1);
    EXPECT_EQ(seen, 0);
  }
  std::raise(SIGUSR1);
  EXPECT_EQ(seen, 1);
  std::signal(SIGUSR1, SIG_DFL);
}

TEST(StopRequestDeathTest, ASecondInterruptEndsAtOnce) {
  EXPECT_EXIT(
      {
        const StopRequest stop;
        std::raise(SIGINT);
        if (stop.signal() != SIGINT) std::exit(1);
        std::raise(SIGINT);
        std::exit(2);
      },
      testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace hyperx::comm

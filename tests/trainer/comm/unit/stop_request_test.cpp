#include "trainer/comm/stop_request.h"

#include <gtest/gtest.h>

#include <csignal>

#include "common/signals.h"

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
  for (const int signal : {SIGTERM, SIGUSR1, SIGINT, SIGHUP}) {
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

TEST(StopRequest, TakesASignalThatWasHeldAndHoldsThemAgainAtItsEnd) {
  const sigset_t set = stop_signal_set();
  sigset_t before;
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &set, &before), 0);
  std::raise(SIGUSR1);
  {
    const StopRequest stop;
    EXPECT_EQ(stop.signal(), SIGUSR1);
  }
  std::raise(SIGTERM);  // would end this process
  sigset_t pending;
  sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGTERM), 1);
  int taken = 0;
  sigwait(&pending, &taken);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(StopRequest, AHangUpThatWasIgnoredStaysIgnored) {
  std::signal(SIGHUP, SIG_IGN);
  {
    const StopRequest stop;
    std::raise(SIGHUP);
    EXPECT_EQ(stop.signal(), 0);
  }
  std::signal(SIGHUP, SIG_DFL);
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

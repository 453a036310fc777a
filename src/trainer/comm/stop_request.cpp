#include "trainer/comm/stop_request.h"

#include <signal.h>

#include <array>
#include <string>

#include "common/errors.h"
#include "common/signals.h"

namespace hyperx::comm {
namespace {

// A signal handler can only reach static storage; StopRequest is its only owner.
volatile sig_atomic_t received_signal = 0;
volatile sig_atomic_t interrupted = 0;
bool in_use = false;
std::array<struct sigaction, kStopSignals.size()> former_actions;
sigset_t former_mask;

extern "C" void note_signal(int number) {
  if (number == SIGINT && interrupted != 0) {
    ::signal(SIGINT, SIG_DFL);
    ::raise(SIGINT);  // takes effect on return
    return;
  }
  if (number == SIGINT) interrupted = 1;
  if (received_signal == 0) received_signal = number;
}

}  // namespace

StopRequest::StopRequest() {
  HYPERX_CHECK(!in_use, "there is one StopRequest at a time");
  in_use = true;
  received_signal = 0;
  interrupted = 0;
  struct sigaction action = {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART;  // reads and writes in progress continue
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < kStopSignals.size(); ++i) {
    if (sigaction(kStopSignals[i], &action, &former_actions[i]) != 0) {
      throw SystemError(std::string("sigaction(") + name(kStopSignals[i]) + ") failed: " + errno_text());
    }
    // `nohup hyperx train` continues when its terminal is closed.
    if (kStopSignals[i] == SIGHUP && former_actions[i].sa_handler == SIG_IGN)
      sigaction(SIGHUP, &former_actions[i], nullptr);
  }
  const sigset_t ours = stop_signal_set();
  pthread_sigmask(SIG_UNBLOCK, &ours, &former_mask);
}

StopRequest::~StopRequest() {
  pthread_sigmask(SIG_SETMASK, &former_mask, nullptr);
  for (size_t i = 0; i < kStopSignals.size(); ++i) sigaction(kStopSignals[i], &former_actions[i], nullptr);
  in_use = false;
}

int StopRequest::signal() const { return received_signal; }

const char* StopRequest::name(int signal) {
  switch (signal) {
    case SIGTERM:
      return "SIGTERM";
    case SIGUSR1:
      return "SIGUSR1";
    case SIGINT:
      return "SIGINT";
    case SIGHUP:
      return "SIGHUP";
    default:
      return "no signal";
  }
}

}  // namespace hyperx::comm

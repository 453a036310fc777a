#pragma once

namespace hyperx::comm {

// Signals that ask for a stop: SIGTERM, SIGUSR1, SIGINT and SIGHUP (unless it was ignored, as under nohup) only set a
// flag. The loop reads it at a step boundary, where all ranks agree (all_reduce_max) to save and end with code 75. A
// second SIGINT ends this process at once, as it would by default. Signals that were blocked before and arrived are
// taken at once. Only one object at a time; its destructor restores the previous handlers and signal mask.
class StopRequest {
 public:
  StopRequest();
  ~StopRequest();
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;

  int signal() const;                   // the first one received; 0: none
  static const char* name(int signal);  // "SIGTERM"
};

}  // namespace hyperx::comm

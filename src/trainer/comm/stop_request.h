#pragma once

namespace hyperx::comm {

// Signals that ask for a stop: SIGTERM, SIGUSR1 and SIGINT only set a flag. The loop reads it at a step boundary, where
// all ranks agree (all_reduce_max) to save and end with code 75. A second SIGINT ends this process at once, as it would
// by default. Only one object at a time; its destructor restores the previous handlers.
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

#pragma once

namespace hyperx::comm {

// Signals that ask for an end: SIGTERM, SIGUSR1 and SIGINT set a flag and nothing else; the loop reads it at a step
// boundary, where all ranks agree (all_reduce_max) to save and end with code 75. A second SIGINT ends this process at
// once, as it would without us. One object at a time; its destructor puts the former handlers back.
class StopRequest {
 public:
  StopRequest();
  ~StopRequest();
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;

  int signal() const;                   // the first that came; 0: none
  static const char* name(int signal);  // "SIGTERM"
};

}  // namespace hyperx::comm

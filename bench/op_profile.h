#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <map>
#include <string>

namespace hyperx::bench {

double wall_seconds();
// CPU time of the calling thread only, so other programs do not add to it. Work of other threads of this process is
// counted once, while this thread works or spins along with them; time asleep is not counted.
double thread_seconds();

// Measures where the time goes during the object's lifetime: LibTorch reports the begin and end of every operation of
// the calling thread and of the backward passes it starts. An operation's own time, without that of the operations it
// calls, is added to its category: generator, exchange and optimizer for everything within these stages; otherwise
// products, attention, elementwise.
class OpProfile {
 public:
  // `now`: the clock to read, in seconds.
  explicit OpProfile(double (*now)() = wall_seconds);
  // By the GPU's own clock: an operation's time includes the GPU's wait for its launch.
  explicit OpProfile(at::Device gpu);
  ~OpProfile();
  OpProfile(const OpProfile&) = delete;
  OpProfile& operator=(const OpProfile&) = delete;

  std::map<std::string, double> seconds() const;     // by category
  std::map<std::string, double> operations() const;  // by name, "elementwise aten::gelu"
  int64_t allocations() const;                       // of tensors' memory
  int64_t allocated_bytes() const;
  int64_t peak_bytes() const;  // most bytes held at once, beyond those held at the start

 private:
  void start();

  uint64_t handle_ = 0;
};

}  // namespace hyperx::bench

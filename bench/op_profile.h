#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace hyperx::bench {

double wall_seconds();
// Of the calling thread alone: other programs do not add to it. What other threads of this one do while it works or
// spins with them is counted once, what it sleeps is not.
double thread_seconds();

// Counts where the calling thread's time goes while it lives: LibTorch tells the begin and end of every operation. An
// operation's own time, without that of the operations it calls, goes to its category: generator, exchange and
// optimizer for all within these stages; else products, attention, elementwise.
class OpProfile {
 public:
  // `now`: the clock that is read, in seconds.
  explicit OpProfile(double (*now)() = wall_seconds);
  ~OpProfile();
  OpProfile(const OpProfile&) = delete;
  OpProfile& operator=(const OpProfile&) = delete;

  std::map<std::string, double> seconds() const;     // by category
  std::map<std::string, double> operations() const;  // by name, "elementwise aten::gelu"
  int64_t allocations() const;                       // of tensors' memory
  int64_t allocated_bytes() const;
  int64_t peak_bytes() const;  // held at once, beyond what was held at the start

 private:
  uint64_t handle_ = 0;
};

}  // namespace hyperx::bench

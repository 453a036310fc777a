#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

// A GPU's own clock and memory. In a build without CUDA, a call is an internal error.
namespace hyperx::bench {

// Points in time on the current stream of the GPU.
class GpuMarks {
 public:
  GpuMarks();
  ~GpuMarks();
  void add();                     // when the work queued so far is done
  std::vector<double> seconds();  // from the first mark to each; waits for the last one
 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Seconds of one call of `work` by the GPU's clock, the mean of several calls in a row. They are queued behind a pause
// of some milliseconds, so launching them takes no time unless it takes longer than the pause.
double gpu_seconds(const std::function<void()>& work);

struct GpuMemory {
  int64_t tensors = 0,
          reserved = 0;  // bytes: held by tensors; taken from the driver, with what LibTorch keeps for reuse
};
GpuMemory gpu_peak_memory(at::Device device);  // since the process started

}  // namespace hyperx::bench

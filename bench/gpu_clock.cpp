#include "bench/gpu_clock.h"

#include "common/errors.h"
#ifdef HYPERX_WITH_CUDA
#include <ATen/cuda/Sleep.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAEvent.h>
#endif

namespace hyperx::bench {

#ifdef HYPERX_WITH_CUDA
namespace {

constexpr int kCalls = 8;
constexpr int64_t kPauseCycles = 8'000'000;  // 4 ms at 2 GHz

}  // namespace

struct GpuMarks::State {
  std::vector<c10::cuda::CUDAEvent> events;
};

void GpuMarks::add() {
  state_->events.emplace_back(static_cast<unsigned int>(cudaEventDefault));
  state_->events.back().record();
}

std::vector<double> GpuMarks::seconds() {
  std::vector<double> seconds;
  if (!state_->events.empty()) state_->events.back().synchronize();
  for (const c10::cuda::CUDAEvent& event : state_->events)
    seconds.push_back(1e-3 * state_->events.front().elapsed_time(event));
  return seconds;
}

double gpu_seconds(const std::function<void()>& work) {
  at::cuda::sleep(kPauseCycles);
  GpuMarks marks;
  marks.add();
  for (int i = 0; i < kCalls; ++i) work();
  marks.add();
  return marks.seconds().back() / kCalls;
}

GpuMemory gpu_peak_memory(at::Device device) {
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
  constexpr auto kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  return {stats.allocated_bytes[kAll].peak, stats.reserved_bytes[kAll].peak};
}
#else
struct GpuMarks::State {};
void GpuMarks::add() { HYPERX_CHECK(false, "built without CUDA"); }
std::vector<double> GpuMarks::seconds() { HYPERX_CHECK(false, "built without CUDA"); }
double gpu_seconds(const std::function<void()>&) { HYPERX_CHECK(false, "built without CUDA"); }
GpuMemory gpu_peak_memory(at::Device) { HYPERX_CHECK(false, "built without CUDA"); }
#endif

GpuMarks::GpuMarks() : state_(std::make_unique<State>()) {}
GpuMarks::~GpuMarks() = default;

}  // namespace hyperx::bench

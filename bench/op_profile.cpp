#include "bench/op_profile.h"

#include <ATen/record_function.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include "bench/gpu_clock.h"
#include "common/clock.h"
#include "common/errors.h"

namespace hyperx::bench {
namespace {

struct Frame {
  std::string category, name;
};

struct Memory final : c10::MemoryReportingInfoBase {
  int64_t allocations = 0, allocated = 0, held = 0, peak = 0;
  void reportMemoryUsage(void*, int64_t bytes, size_t, size_t, c10::Device) override {
    held += bytes;
    peak = std::max(peak, held);
    if (bytes <= 0) return;
    ++allocations;
    allocated += bytes;
  }
  bool memoryProfilingEnabled() const override { return true; }
};

// An operation begins or ends here; `frame` was the innermost one until then, and is empty where there was none.
struct Mark {
  Frame frame;
  double time = 0;  // unused on a GPU
};

struct State {
  std::mutex mutex;  // on a GPU, another thread runs the backward pass
  double (*now)() = nullptr;
  std::unique_ptr<GpuMarks> gpu;  // instead of `now`
  std::vector<Frame> frames;
  std::vector<Mark> marks;
  std::shared_ptr<Memory> memory = std::make_shared<Memory>();
  c10::DebugInfoGuard guard{c10::DebugInfoKind::PROFILER_STATE, memory};

  void add_mark() {
    if (gpu) gpu->add();
    marks.push_back({frames.empty() ? Frame{} : frames.back(), gpu ? 0 : now()});
  }

  // Seconds by what `name_of` returns for a frame.
  template <class NameOf>
  std::map<std::string, double> seconds_by(const NameOf& name_of) const {
    const std::vector<double> device = gpu ? gpu->seconds() : std::vector<double>();
    const auto time_of = [&](size_t i) { return gpu ? device[i] : marks[i].time; };
    std::map<std::string, double> seconds;
    for (size_t i = 1; i < marks.size(); ++i)
      if (!marks[i].frame.name.empty()) seconds[name_of(marks[i].frame)] += time_of(i) - time_of(i - 1);
    return seconds;
  }
};

std::unique_ptr<State> state;

bool is_stage(const std::string& category) {
  return category == "generator" || category == "exchange" || category == "optimizer";
}

std::string category_of(const std::string& name, const std::string& outer) {
  static const std::string kOurs = "hyperx::";
  if (name.rfind(kOurs, 0) == 0) return name.substr(kOurs.size());
  if (is_stage(outer) || outer == "attention") return outer;
  for (const char* product : {"aten::addmm", "aten::mm", "aten::bmm", "mkldnn::_linear_pointwise"})
    if (name == product) return "products";
  if (name.find("attention") != std::string::npos) return "attention";
  return outer == "products" ? outer : "elementwise";
}

std::unique_ptr<at::ObserverContext> on_begin(const at::RecordFunction& function) {
  const std::lock_guard lock(state->mutex);
  const std::string name = function.name();
  const std::string outer = state->frames.empty() ? "" : state->frames.back().category;
  state->add_mark();
  state->frames.push_back({category_of(name, outer), name});
  return nullptr;
}

void on_end(const at::RecordFunction&, at::ObserverContext*) {
  const std::lock_guard lock(state->mutex);
  if (state->frames.empty()) return;  // began before the profile
  state->add_mark();
  state->frames.pop_back();
}

}  // namespace

double wall_seconds() { return clock_seconds(CLOCK_MONOTONIC); }
double thread_seconds() { return clock_seconds(CLOCK_THREAD_CPUTIME_ID); }

OpProfile::OpProfile(double (*now)()) {
  start();
  state->now = now;
}

OpProfile::OpProfile(at::Device gpu) {
  HYPERX_CHECK(gpu.is_cuda(), "the GPU's clock on a GPU only");
  start();
  state->gpu = std::make_unique<GpuMarks>();
}

void OpProfile::start() {
  HYPERX_CHECK(!state, "one profile at a time");
  state = std::make_unique<State>();
  handle_ = at::addThreadLocalCallback(
      at::RecordFunctionCallback(on_begin, on_end)
          .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION, at::RecordScope::USER_SCOPE}));
}

OpProfile::~OpProfile() {
  at::removeCallback(handle_);
  state.reset();
}

std::map<std::string, double> OpProfile::seconds() const {
  return state->seconds_by([](const Frame& frame) { return frame.category; });
}

std::map<std::string, double> OpProfile::operations() const {
  return state->seconds_by([](const Frame& frame) { return frame.category + " " + frame.name; });
}

int64_t OpProfile::allocations() const { return state->memory->allocations; }
int64_t OpProfile::allocated_bytes() const { return state->memory->allocated; }
int64_t OpProfile::peak_bytes() const { return state->memory->peak; }

}  // namespace hyperx::bench

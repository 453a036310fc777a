#include "bench/op_profile.h"

#include <ATen/record_function.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "common/clock.h"
#include "common/errors.h"

namespace hyperx::bench {
namespace {

struct Frame {
  std::string category, name;
  double begin = 0;
  double inner = 0;  // seconds of the operations inside it
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

struct State {
  double (*now)() = nullptr;
  std::vector<Frame> frames;
  std::map<std::string, double> seconds, operations;
  std::shared_ptr<Memory> memory = std::make_shared<Memory>();
  c10::DebugInfoGuard guard{c10::DebugInfoKind::PROFILER_STATE, memory};
};

thread_local std::unique_ptr<State> state;

bool is_stage(const std::string& category) {
  return category == "generator" || category == "exchange" || category == "optimizer";
}

std::string category_of(const std::string& name, const std::string& outer) {
  static const std::string kOurs = "hyperx::";
  if (name.rfind(kOurs, 0) == 0) return name.substr(kOurs.size());
  if (is_stage(outer) || outer == "attention") return outer;
  for (const char* product : {"aten::addmm", "aten::mm", "aten::bmm", "mkldnn::_linear_pointwise"})
    if (name == product) return "products";
  return outer == "products" ? outer : "elementwise";
}

std::unique_ptr<at::ObserverContext> on_begin(const at::RecordFunction& function) {
  if (!state) return nullptr;
  const std::string name = function.name();
  const std::string outer = state->frames.empty() ? "" : state->frames.back().category;
  state->frames.push_back({category_of(name, outer), name, state->now(), 0});
  return nullptr;
}

void on_end(const at::RecordFunction&, at::ObserverContext*) {
  if (!state || state->frames.empty()) return;
  const Frame frame = std::move(state->frames.back());
  state->frames.pop_back();
  const double whole = state->now() - frame.begin;
  if (!state->frames.empty()) state->frames.back().inner += whole;
  state->seconds[frame.category] += whole - frame.inner;
  state->operations[frame.category + " " + frame.name] += whole - frame.inner;
}

}  // namespace

double wall_seconds() { return clock_seconds(CLOCK_MONOTONIC); }
double thread_seconds() { return clock_seconds(CLOCK_THREAD_CPUTIME_ID); }

OpProfile::OpProfile(double (*now)()) {
  HYPERX_CHECK(!state, "one profile at a time");
  state = std::make_unique<State>();
  state->now = now;
  handle_ = at::addThreadLocalCallback(
      at::RecordFunctionCallback(on_begin, on_end)
          .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION, at::RecordScope::USER_SCOPE}));
}

OpProfile::~OpProfile() {
  at::removeCallback(handle_);
  state.reset();
}

std::map<std::string, double> OpProfile::seconds() const { return state->seconds; }
std::map<std::string, double> OpProfile::operations() const { return state->operations; }
int64_t OpProfile::allocations() const { return state->memory->allocations; }
int64_t OpProfile::allocated_bytes() const { return state->memory->allocated; }
int64_t OpProfile::peak_bytes() const { return state->memory->peak; }

}  // namespace hyperx::bench

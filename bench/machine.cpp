#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <spdlog/fmt/fmt.h>
#include <torch/cuda.h>

#include <algorithm>
#include <limits>

#include "bench/bench.h"
#include "bench/gpu_clock.h"
#include "common/clock.h"
#include "model/ops/cpu/multiversion.h"
#include "model/ops/linear.h"

namespace hyperx::bench {
namespace {

// [rows, in] x [in, out] of the product whose rate is the limit.
struct ProductSizes {
  int64_t rows, in, out;
};
constexpr ProductSizes kOnCpu{1024, 768, 3072};   // the feed-forward layer of a model of BERT's size
constexpr ProductSizes kOnGpu{8192, 8192, 8192};  // one that keeps the whole GPU busy

constexpr int64_t kStreamValues = 76'000'000;  // 304 MB, as large as the Base hypernetwork
constexpr int64_t kGrain = 1 << 16;

HYPERX_MULTIVERSION float sum_of(const float* values, int64_t count) {
  constexpr int kLanes = 64;
  float sums[kLanes] = {};
  for (int64_t i = 0; i + kLanes <= count; i += kLanes)
    for (int lane = 0; lane < kLanes; ++lane) sums[lane] += values[i + lane];
  float total = 0;
  for (const float sum : sums) total += sum;
  return total;
}

HYPERX_MULTIVERSION void triad(const float* HYPERX_RESTRICT a, const float* HYPERX_RESTRICT b,
                               float* HYPERX_RESTRICT out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] = a[i] + 3.0F * b[i];
}

const ProductSizes& sizes_of(const Bench& bench) { return bench.device.is_cpu() ? kOnCpu : kOnGpu; }

double product_rate(const Bench& bench, at::ScalarType type) {
  at::NoGradGuard no_gradient;
  const at::TensorOptions options = at::TensorOptions().dtype(type).device(bench.device);
  const auto& [rows, in, out] = sizes_of(bench);
  const model::Linear linear(at::randn({out, in}, options), at::zeros({out}, options), type);
  const at::Tensor x = at::randn({rows, in}, options);
  constexpr int kCalls = 8;
  const double seconds = bench.best_kernel_seconds([&] {
    for (int i = 0; i < kCalls; ++i) linear(x);
  });
  return kCalls * 2.0 * static_cast<double>(rows * in * out) / seconds;
}

// Uses our own loops over memory, split among the threads.
void measure_memory(const Bench& bench, const at::Tensor& a, const at::Tensor& b, at::Tensor& out, Machine& machine) {
  const float* const from = a.const_data_ptr<float>();
  const float* const other = b.const_data_ptr<float>();
  float* const into = out.data_ptr<float>();
  machine.read = bench.best_seconds([&] {
    at::parallel_for(0, kStreamValues, kGrain,
                     [&](int64_t begin, int64_t end) { into[begin] = sum_of(from + begin, end - begin); });
  });
  machine.triad = bench.best_seconds([&] {
    at::parallel_for(0, kStreamValues, kGrain, [&](int64_t begin, int64_t end) {
      triad(from + begin, other + begin, into + begin, end - begin);
    });
  });
}

Machine measure_machine(const Bench& bench) {
  Machine machine;
  machine.product_fp32 = product_rate(bench, at::kFloat);
  machine.product_bf16 = product_rate(bench, at::kBFloat16);
  const at::TensorOptions options = at::TensorOptions().device(bench.device);
  const at::Tensor a = at::ones({kStreamValues}, options), b = at::ones({kStreamValues}, options);
  at::Tensor out = at::zeros({kStreamValues}, options);
  if (bench.device.is_cpu()) {
    measure_memory(bench, a, b, out, machine);
  } else {
    machine.read = bench.best_kernel_seconds([&] { a.sum(); });
    machine.triad = bench.best_kernel_seconds([&] { at::add_out(out, a, b, 3); });
  }
  machine.read = 4.0 * kStreamValues / machine.read;
  machine.triad = 3 * 4.0 * kStreamValues / machine.triad;
  return machine;
}

}  // namespace

void Bench::synchronize() const {
  if (device.is_cuda()) torch::cuda::synchronize(device.index());
}

double Bench::best_kernel_seconds(const std::function<void()>& work) const {
  return device.is_cuda() ? best_of([&] { return gpu_seconds(work); }) : best_seconds(work);
}

double Bench::best_seconds(const std::function<void()>& work) const {
  return best_of([&] {
    const Clock::time_point begin = Clock::now();
    work();
    synchronize();
    return seconds_since(begin);
  });
}

double Bench::best_of(const std::function<double()>& measure) const {
  double best = std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i <= repeats; ++i) {
    synchronize();
    const double seconds = measure();
    if (i > 0) best = std::min(best, seconds);
  }
  return best;
}

const Machine& Bench::rates() {
  if (machine.read == 0) machine = measure_machine(*this);
  return machine;
}

void bench_machine(Bench& bench) {
  const Machine& rates = bench.rates();
  const auto& [rows, in, out] = sizes_of(bench);
  bench.report.add({"machine",
                    fmt::format("product [{}, {}] x [{}, {}] in fp32", rows, in, in, out),
                    rates.product_fp32 / 1e9,
                    "GFLOP/s",
                    {},
                    ""});
  bench.report.add({"machine", "the same in bf16, weights packed", rates.product_bf16 / 1e9, "GFLOP/s", {}, ""});
  bench.report.add({"machine", "memory, read", rates.read / 1e9, "GB/s", {}, "304 MB"});
  bench.report.add({"machine", "memory, two read and one written", rates.triad / 1e9, "GB/s", {}, "3 x 304 MB"});
}

}  // namespace hyperx::bench

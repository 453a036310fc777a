#include <ATen/Parallel.h>
#include <torch/torch.h>

#include <algorithm>
#include <limits>

#include "app/tensor/bench/bench.h"
#include "common/clock.h"
#include "model/ops/linear.h"
#include "model/ops/multiversion.h"

namespace hyperx::bench {
namespace {

constexpr int64_t kRows = 1024, kIn = 768, kOut = 3072;  // the feed-forward layer of a model of BERT's size
constexpr int64_t kStreamValues = 76'000'000;            // 304 MB, as large as the Base hypernetwork
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

double product_rate(at::ScalarType type, int64_t repeats) {
  at::NoGradGuard no_gradient;
  const model::Linear linear(torch::randn({kOut, kIn}).to(type), torch::zeros({kOut}).to(type));
  const at::Tensor x = torch::randn({kRows, kIn}).to(type);
  const double seconds = best_seconds(8 * repeats, [&] { linear(x); });
  return 2.0 * kRows * kIn * kOut / seconds;
}

}  // namespace

double best_seconds(int64_t repeats, const std::function<void()>& work) {
  double best = std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i <= repeats; ++i) {
    const Clock::time_point begin = Clock::now();
    work();
    const double seconds = seconds_since(begin);
    if (i > 0) best = std::min(best, seconds);
  }
  return best;
}

Machine measure_machine(int64_t repeats) {
  Machine machine;
  machine.product_fp32 = product_rate(at::kFloat, repeats);
  machine.product_bf16 = product_rate(at::kBFloat16, repeats);
  at::Tensor a = torch::ones({kStreamValues}), b = torch::ones({kStreamValues}), out = torch::zeros({kStreamValues});
  const float* const from = a.const_data_ptr<float>();
  const float* const other = b.const_data_ptr<float>();
  float* const into = out.data_ptr<float>();
  const double bytes = 4.0 * kStreamValues;
  machine.read = bytes / best_seconds(repeats, [&] {
                   at::parallel_for(0, kStreamValues, kGrain, [&](int64_t begin, int64_t end) {
                     into[begin] = sum_of(from + begin, end - begin);
                   });
                 });
  machine.triad = 3 * bytes / best_seconds(repeats, [&] {
                    at::parallel_for(0, kStreamValues, kGrain, [&](int64_t begin, int64_t end) {
                      triad(from + begin, other + begin, into + begin, end - begin);
                    });
                  });
  return machine;
}

const Machine& Bench::rates() {
  if (machine.read == 0) machine = measure_machine(repeats);
  return machine;
}

void bench_machine(Bench& bench) {
  const Machine& rates = bench.rates();
  bench.report.add(
      {"machine", "product [1024, 768] x [768, 3072] in fp32", rates.product_fp32 / 1e9, "GFLOP/s", {}, ""});
  bench.report.add({"machine", "the same in bf16, weights packed", rates.product_bf16 / 1e9, "GFLOP/s", {}, ""});
  bench.report.add({"machine", "memory, read", rates.read / 1e9, "GB/s", {}, "304 MB"});
  bench.report.add({"machine", "memory, two read and one written", rates.triad / 1e9, "GB/s", {}, "3 x 304 MB"});
}

}  // namespace hyperx::bench

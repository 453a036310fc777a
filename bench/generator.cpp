#include "model/methods/hyperx/generator.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "bench/bench.h"
#include "common/clock.h"
#include "model/methods/hyperx/hyperx_options.h"
#include "model/parameters/adam_step.h"

namespace hyperx::bench {
namespace {

constexpr int64_t kHidden = 768, kLayers = 12;  // of BERT's size, whatever encoder is given

}  // namespace

void bench_generator(Bench& bench) {
  at::NoGradGuard no_gradient;
  const Machine& rates = bench.rates();
  const auto& sizes = bench.config.sections.get<model::HyperXOptions>();
  const int64_t adapter = sizes.adapter_dim, projected = sizes.projected_dim;
  const int64_t theta_size = 2 * adapter * kHidden + adapter + kHidden;
  const int64_t ranks = bench.config.parallel.generator == "sharded" ? bench.communicator.size() : 1;
  const int64_t n = (theta_size + ranks - 1) / ranks, rows = kLayers * bench.config.train.pairs_per_step;
  const auto drawn = [&](at::IntArrayRef shape, double deviation) {
    return (at::randn(shape) * deviation).to(bench.device);
  };
  at::Tensor w = drawn({n, projected}, 0.02), c = drawn({n}, 0);
  at::Tensor w_m = at::zeros_like(w), w_v = at::zeros_like(w), c_m = at::zeros_like(c), c_v = c_m.clone();
  at::Tensor theta = drawn({rows, n}, 0);
  const at::Tensor s = drawn({rows, projected}, 1), g = drawn({rows, n}, 1e-4);

  const double w_bytes = 4.0 * static_cast<double>(w.numel()), g_bytes = 4.0 * static_cast<double>(g.numel());
  double total = 0, total_bytes = 0, processor_total = 0;
  const auto measure = [&](const char* what, double bytes, double bandwidth, const std::function<void()>& work) {
    const double seconds = bench.best_kernel_seconds(work);
    const double begin = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);  // ranks that share the cores do not add to it
    work();
    bench.synchronize();
    processor_total += clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - begin;
    total += seconds;
    total_bytes += bytes;
    bench.report.add({"generator", what, bytes / seconds / 1e9, "GB/s", bandwidth / 1e9,
                      std::to_string(static_cast<int>(seconds * 1e4) / 10.0).substr(0, 5) + " ms"});
  };
  measure("generate: theta of all layers", w_bytes + g_bytes, rates.read, [&] { model::generate(w, c, s, theta); });
  measure("gradient: ds and Gram matrix", w_bytes + g_bytes, rates.read, [&] { model::factor_sums(w, g); });
  const at::Tensor count = at::zeros({1}, at::TensorOptions().dtype(at::kLong).device(bench.device));
  const model::AdamStep step{1e-4, {}, bench.device.is_cpu(), 1.0, at::ones({2}, w.options())};
  measure("Adam: W, c and their moments", 6 * w_bytes + g_bytes, rates.triad, [&] {
    model::low_rank_adam({w, c, w_m, w_v, c_m, c_v}, g, s, model::next_step(count, {}, step), step);
  });
  bench.report.add({"generator", "all three", total * 1e3, "ms", total_bytes / rates.triad * 1e3,
                    "limit: " + std::to_string(total_bytes / 1e9).substr(0, 4) + " GB at the bandwidth of writing"});
  bench.report.add(
      {"generator", "processor time of a rank, all three", processor_total * 1e3, "ms", {}, "all threads"});
  bench.report.add({"generator",
                    "W, c and their moments of a rank",
                    3e-6 * (w_bytes + 4 * static_cast<double>(n)),
                    "MB",
                    {},
                    ranks == 1 ? "" : "1/" + std::to_string(ranks) + " of the rows"});
}

}  // namespace hyperx::bench

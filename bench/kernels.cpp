#include <ATen/ATen.h>
#include <spdlog/fmt/fmt.h>

#include "bench/bench.h"
#include "model/ops/cpu/activation.h"
#include "model/ops/cpu/dropout.h"
#include "model/ops/cpu/residual_norm.h"
#include "model/ops/own_kernels.h"
#include "trainer/checkpoint/model_checkpoint.h"

namespace hyperx::bench {
namespace {

constexpr int64_t kHidden = 768, kInner = 3072;
constexpr int64_t kRows[] = {704, 8192};  // a training batch of 32 sentences; a large evaluation batch
constexpr int64_t kSentence = 22;         // tokens

model::RowKeys keys_of(int64_t rows, at::Device device) {
  const at::Tensor index = at::arange(rows, at::TensorOptions().dtype(at::kLong).device(device));
  return {index.div(kSentence, "floor"), index.remainder(kSentence)};
}

}  // namespace

// The operations between the matrix products, with the kernels configured by `kernels`: bytes compared with the
// bandwidth.
void bench_kernels(Bench& bench) {
  const at::ScalarType type = train::compute_type(bench.config.train.precision);
  const double bandwidth = bench.rates().triad, value_bytes = type == at::kBFloat16 ? 2 : 4;
  const std::string whose = bench.device.is_cpu() ? "ours for the CPU" : model::own_kernels() ? "hyperx" : "libtorch";
  const at::TensorOptions options = at::TensorOptions().dtype(type).device(bench.device);
  const at::TensorOptions floats = options.dtype(at::kFloat);
  const model::DropoutKey key{PhiloxKey{3, 4}};
  for (const int64_t rows : kRows) {
    const model::SiteDropout dropout{keys_of(rows, bench.device), 0.1, key};
    const auto drawn = [&](int64_t width) { return at::randn({rows, width}, floats).to(type); };
    const auto leaf = [](at::Tensor values) { return values.requires_grad_(true); };
    const model::NormParameters norm{leaf(at::ones({kHidden}, floats)), leaf(at::zeros({kHidden}, floats)), 1e-12};
    const at::Tensor bias = at::zeros({kHidden}, options), inner_bias = at::zeros({kInner}, options);
    const at::Tensor x = leaf(drawn(kHidden)), first = leaf(drawn(kHidden)), inner = leaf(drawn(kInner));
    // `tensors` of the rows' size are read or written in the forward pass, `backward` ones in the backward pass.
    const auto measure = [&](const char* what, int64_t width, double tensors, double backward, const auto& run) {
      const double size = static_cast<double>(rows * width) * value_bytes;
      const at::Tensor above = drawn(width);
      const auto add = [&](const std::string& name, double moved, double seconds) {
        bench.report.add({"kernels", fmt::format("{} [{}, {}]", name, rows, width), moved / seconds / 1e9, "GB/s",
                          bandwidth / 1e9, fmt::format("{}, {:.1f} us", whose, seconds * 1e6)});
      };
      const double forward_seconds = bench.best_kernel_seconds(run);
      add(what, tensors * size, forward_seconds);
      const double both = bench.best_kernel_seconds([&] { run().backward(above); });
      add(std::string(what) + ", with its gradient", (tensors + backward) * size, both);
    };
    measure("norm of a sum with dropout", kHidden, 4, 4,
            [&] { return model::residual_norm(x, bias, dropout, first, {}, norm); });
    measure("bias and GELU", kInner, 2, 3,
            [&] { return model::biased_activation(inner, inner_bias, model::Activation::kGelu); });
    measure("dropout", kHidden, 2, 2, [&] { return model::keyed_dropout(x, {}, dropout); });
  }
}

}  // namespace hyperx::bench

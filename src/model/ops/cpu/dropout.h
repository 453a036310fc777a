#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "common/random.h"

namespace hyperx::model {

// The key of one site. If `on_device` is defined (0-dim int64, on the device of the rows), it replaces `host`: a CUDA
// graph is captured once and replayed with the keys of other steps. If `dropped` is defined, the mask is already drawn:
// [rows, width] bool.
struct DropoutKey {
  PhiloxKey host{};
  at::Tensor on_device = {};
  at::Tensor dropped = {};
};

// Identity of each row of a packed batch: its sentence's slot and its position. [rows] int64, on the CPU or the device
// of x.
struct RowKeys {
  at::Tensor slots;
  at::Tensor positions;
};

// Source of a step's dropout masks. Every mask bit is a function of (seed, step, site, sentence slot, position,
// feature), so it is the same for any number of ranks, threads and micro-batches.
struct DropoutStream {
  uint64_t seed = 0;
  int64_t step = 0;
  bool active = false;      // false: evaluation
  at::Tensor table = {};    // key_table() on a GPU; undefined: keys come from the host
  at::Tensor dropped = {};  // [sites, rows, width] bool, from draw_masks(); undefined: each site draws its own
  DropoutKey key(int64_t site) const;
  // The bits of all sites' keys, for a model with this number of layers.
  std::vector<int64_t> key_table(int64_t layers) const;
  // Draws the masks of all sites except attention probabilities together, with the keys of `table`. LibTorch's
  // operations need 250 small launches for a mask, however many sites it covers. Used where no kernel of ours draws the
  // masks.
  void draw_masks(const RowKeys& rows, int64_t width, double probability);
};

// Sites: layer * kSitesPerLayer + one of these; embeddings and heads have numbers after those of the layers.
constexpr int64_t kSitesPerLayer = 4;
constexpr int64_t kSiteAttentionOutput = 0;
constexpr int64_t kSiteFeedForwardOutput = 1;
constexpr int64_t kSiteAttentionProbabilities = 2;
constexpr int64_t kSiteEmbeddings = 1 << 20;
constexpr int64_t kSiteHead = (1 << 20) + 1;

// 16 random bits decide about a value, so the probability is rounded to a multiple of 2^-16; kept values are scaled by
// the exact inverse.
uint32_t dropout_threshold(double probability);  // dropped if bits < threshold
double dropout_scale(double probability);

// One site's dropout of a packed batch; probability 0: none.
struct SiteDropout {
  RowKeys rows;
  double probability = 0;
  DropoutKey key{};
  SiteDropout of_rows(const at::Tensor& indices) const;  // of these rows only
};

// (x + bias) * mask * scale. x [rows, width], bias [width] of its type or undefined. Differentiable in both; the
// backward pass draws the mask again, so it is not stored. Bits of feature f: word (f / 2) % 4, half f % 2, of
// philox({f / 8, position, slot low, slot high}, key).
at::Tensor keyed_dropout(const at::Tensor& x, const at::Tensor& bias, const SiteDropout& dropout);

// x * mask * scale with LibTorch's operations: runs on a GPU without our kernels, and is their test oracle.
at::Tensor dropout_by_operations(const at::Tensor& x, const SiteDropout& dropout);

// Only the mask, of 0 or scale: [rows, width].
at::Tensor keyed_dropout_mask(const SiteDropout& dropout, int64_t width, const at::TensorOptions& options);

// The same for a sentence's attention probabilities: [heads, rows, length]. The bits of (query row, head, key position
// p) are those of feature head * kFeaturesPerHead + p of the query's row.
constexpr int64_t kFeaturesPerHead = 1 << 16;
at::Tensor attention_dropout_mask(const SiteDropout& dropout, int64_t heads, int64_t length,
                                  const at::TensorOptions& options);

}  // namespace hyperx::model

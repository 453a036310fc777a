#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "common/random.h"

namespace hyperx::model {

// The key of one site. Where `on_device` is defined (0-dim int64, on the device of the rows), its bits count: a CUDA
// graph is captured once and replayed with the keys of other steps. Where `dropped` is defined, the mask is drawn
// already: [rows, width] bool.
struct DropoutKey {
  PhiloxKey host{};
  at::Tensor on_device = {};
  at::Tensor dropped = {};
};

// Where each row of a packed batch stands. [rows] int64, CPU or the device of x.
struct RowKeys {
  at::Tensor slots;
  at::Tensor positions;
};

// What a step's dropout is drawn from. Every mask bit is a function of (seed, step, site, sentence slot, position,
// feature), so it is the same for any number of ranks, threads and micro-batches.
struct DropoutStream {
  uint64_t seed = 0;
  int64_t step = 0;
  bool active = false;      // false: evaluation
  at::Tensor table = {};    // key_table() on a GPU; undefined: keys come from the host
  at::Tensor dropped = {};  // [sites, rows, width] bool, of draw_masks(); undefined: each site draws its own
  DropoutKey key(int64_t site) const;
  // The bits of all sites' keys, of a model of so many layers.
  std::vector<int64_t> key_table(int64_t layers) const;
  // Draws the masks of all sites but those of attention probabilities, from `table`, together: with LibTorch's
  // operations a mask is 250 small launches, however many sites it is for. For where no kernel of ours draws them.
  void draw_masks(const RowKeys& rows, int64_t width, double probability);
};

// Sites: layer * kSitesPerLayer + one of these; the embeddings and the heads stand after the layers' own.
constexpr int64_t kSitesPerLayer = 4;
constexpr int64_t kSiteAttentionOutput = 0;
constexpr int64_t kSiteFeedForwardOutput = 1;
constexpr int64_t kSiteAttentionProbabilities = 2;
constexpr int64_t kSiteEmbeddings = 1 << 20;
constexpr int64_t kSiteHead = (1 << 20) + 1;

// 16 random bits decide a value, so the probability is rounded to a multiple of 2^-16; what is kept is scaled by the
// exact inverse.
uint32_t dropout_threshold(double probability);  // dropped if bits < threshold
double dropout_scale(double probability);

// One site's dropout of a packed batch; probability 0: none.
struct SiteDropout {
  RowKeys rows;
  double probability = 0;
  DropoutKey key{};
  SiteDropout of_rows(const at::Tensor& indices) const;  // of some rows alone
};

// (x + bias) * mask * scale. x [rows, width], bias [width] of its type or undefined. Differentiable in both; the mask
// is drawn again in the backward pass, not stored. Bits of feature f: word (f / 2) % 4, half f % 2, of philox({f / 8,
// position, slot low, slot high}, key).
at::Tensor keyed_dropout(const at::Tensor& x, const at::Tensor& bias, const SiteDropout& dropout);

// x * mask * scale by LibTorch's own operations: what runs on a GPU without kernels of ours, and the check of those.
at::Tensor dropout_by_operations(const at::Tensor& x, const SiteDropout& dropout);

// The mask alone, of 0 or scale: [rows, width].
at::Tensor keyed_dropout_mask(const SiteDropout& dropout, int64_t width, const at::TensorOptions& options);

// The same of a sentence's attention probabilities: [heads, rows, length]. The bits of (query row, head, key position
// p) are those of feature head * kFeaturesPerHead + p of the query's row.
constexpr int64_t kFeaturesPerHead = 1 << 16;
at::Tensor attention_dropout_mask(const SiteDropout& dropout, int64_t heads, int64_t length,
                                  const at::TensorOptions& options);

}  // namespace hyperx::model

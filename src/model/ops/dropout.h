#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "common/random.h"

namespace hyperx::model {

// The key of one site. Where `on_device` is defined (0-dim int64, on the device of the rows), its bits count: a CUDA
// graph is captured once and replayed with the keys of other steps.
struct DropoutKey {
  PhiloxKey host{};
  at::Tensor on_device = {};
};

// What a step's dropout is drawn from. Every mask bit is a function of (seed, step, site, sentence slot, position,
// feature), so it is the same for any number of ranks, threads and micro-batches.
struct DropoutStream {
  uint64_t seed = 0;
  int64_t step = 0;
  bool active = false;    // false: evaluation
  at::Tensor table = {};  // key_table() on a GPU; undefined: keys come from the host
  DropoutKey key(int64_t site) const;
  // The bits of all sites' keys, of a model of so many layers.
  std::vector<int64_t> key_table(int64_t layers) const;
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

// Where each row of a packed batch stands. [rows] int64, CPU or the device of x.
struct RowKeys {
  at::Tensor slots;
  at::Tensor positions;
};

// (x + bias) * mask * scale. x [rows, width], bias [width] of its type or undefined. Differentiable in both; the mask
// is drawn again in the backward pass, not stored. Bits of feature f: word (f / 2) % 4, half f % 2, of philox({f / 8,
// position, slot low, slot high}, key).
at::Tensor keyed_dropout(const at::Tensor& x, const at::Tensor& bias, const RowKeys& rows, double probability,
                         const DropoutKey& key);

// The mask written with LibTorch's own operations: what runs on CUDA, and the check of the kernel. [rows, width] of 0
// or scale, for the features from `first_feature` (a multiple of 8) on.
at::Tensor keyed_dropout_mask(const RowKeys& rows, int64_t width, double probability, const DropoutKey& key,
                              const at::TensorOptions& options, int64_t first_feature = 0);

}  // namespace hyperx::model

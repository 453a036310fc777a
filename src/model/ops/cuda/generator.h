#pragma once

#include <cstdint>

#include "model/ops/cuda/stream.h"

// The passes over the generators' stacked weight W (model/methods/hyperx/generator.h), all in fp32 unless stated
// otherwise. Each reads W once, which determines its cost: 303 MB for 394,240 x 192.
namespace hyperx::model::kernels {
inline namespace HYPERX_KERNEL_BUILD {

// Size of W and c: `theta` rows of `projected` values, contiguous.
struct GeneratorSize {
  int64_t theta = 0, projected = 0;
};

// Some rows of sources and their results: s [rows, projected], contiguous; theta or g [rows, theta], whose rows are
// `stride` apart.
struct Sources {
  int64_t rows = 0;
  const float* s = nullptr;
};

// theta_r = W s_r + c. W is read once for each kMostSources rows of s (fewer where projected is above 1,000).
constexpr int64_t kMostSources = 48;
void generate(const GeneratorSize& size, const float* w, const float* c, const Sources& sources, float* theta,
              int64_t theta_stride, Stream stream);

// ds_r = sum over n of g[r, n] W[n, :], and g_r . g_q. Tiles of 64 rows of W are summed in fp32 and added in fp64; the
// Gram matrix is in fp64 throughout. Stretches of kStretchRows rows give partial sums; s, s + 16, ... are added for
// each s, and then these 16 in order.
constexpr int64_t kStretchRows = 1024;
int64_t factor_partial_values(const GeneratorSize& size, int64_t rows);
// sums [rows * projected + rows * rows]: ds, followed by the Gram matrix.
void factor_sums(const GeneratorSize& size, const float* w, int64_t rows, const float* g, int64_t g_stride,
                 double* sums, double* partials, Stream stream);

// What the device computed about a step.
struct UpdateControl {
  float scale = 1;   // of the gradient, from the clip
  float finite = 1;  // 0: nothing is updated
};

// The arithmetic is that of adam_update() in model/parameters/adam.h.
struct AdamRule {
  double rate = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0;
};

// Updates W, c and their moments from g and s: the gradient sum_r g_r s_r^T is formed tile by tile and never stored.
// Weight decay applies only to W. `count`: this update's number, from 1.
struct LowRankAdam {
  GeneratorSize size;
  float *w = nullptr, *w_m = nullptr, *w_v = nullptr;  // [theta, projected]
  float *c = nullptr, *c_m = nullptr, *c_v = nullptr;  // [theta]
  Sources sources;
  const float* g = nullptr;  // [rows, theta]
  int64_t g_stride = 0;
  AdamRule rule;
  const UpdateControl* control = nullptr;
  const int64_t* count = nullptr;
  // If next.rows > 0: also computes theta of the next step from the updated W, with the arithmetic of generate(), to
  // the last bit. Without an update (control->finite 0) it uses the unchanged W.
  Sources next;
  float* theta_next = nullptr;  // [next.rows, theta]
  int64_t theta_next_stride = 0;
};
// Whether the sources fit into a thread block's shared memory on the current device: 256 rows of 192 on an H100, 184 on
// an A100.
bool low_rank_adam_fits(int64_t rows, int64_t next_rows, int64_t projected);
void low_rank_adam(const LowRankAdam& call, Stream stream);

// One of many tensors of a plain Adam update, contiguous.
struct AdamTensor {
  float* p = nullptr;
  const float* g = nullptr;
  float *m = nullptr, *v = nullptr;
  int64_t numel = 0;
  const int64_t* count = nullptr;  // this update's number, from 1
  const bool* active = nullptr;    // false: skipped
};
// tensors [count] is on the device; most_values is at least the largest numel of them.
void adam(const AdamTensor* tensors, int64_t count, int64_t most_values, const AdamRule& rule,
          const UpdateControl* control, Stream stream);

}  // namespace HYPERX_KERNEL_BUILD
}  // namespace hyperx::model::kernels

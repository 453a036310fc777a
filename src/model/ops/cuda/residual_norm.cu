#include "model/ops/cuda/partial_sums.cuh"
#include "model/ops/cuda/residual_norm.h"

// One row per warp: a row of 768 is 24 values per lane, so it stays in registers from the first load to the last store,
// and both statistics are computed by shuffles without a barrier.
//
// Bytes per row of 768 in bf16: forward 6.1 KB (x, first, sum, y; 7.7 with second), backward 6.1 (dy, sum, dsum, dx)
// and 0.6 of partial sums. 16,000 rows: 98 MB, 25 us at 4 TB/s; the mask's random generator takes about 0.15 G lane
// instructions in addition, 10 us of another pipe. The limit is bandwidth; below about 2,000 rows, the launch.
namespace hyperx::model::kernels {
inline namespace HYPERX_KERNEL_BUILD {
namespace {

constexpr int kWarps = 4;  // per thread block
constexpr int kWarpFeatures = kWarpLanes * kBlockFeatures;
static_assert(kNormChunkRows % kWarps == 0);

// Block `part` of a lane: 32 lanes cover 256 features in one load of 512 bytes of bf16.
__device__ inline int64_t feature_of(int part, int lane) {
  return (static_cast<int64_t>(part) * kWarpLanes + lane) * kBlockFeatures;
}

// kParts: blocks of 8 features per lane, width <= 256 * kParts.
template <class T, bool kVector, int kParts>
__global__ void __launch_bounds__(kWarps* kWarpLanes) norm_forward_kernel(NormForward call) {
  const int lane = static_cast<int>(threadIdx.x);
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.y, width = call.width;
  if (row >= call.rows) return;  // a whole warp
  const MaskDraw draw = mask_draw(call.mask);
  const int64_t at = row * width;
  float values[kParts][kBlockFeatures], term[kBlockFeatures];
  float total = 0.0F;
  HYPERX_UNROLL
  for (int part = 0; part < kParts; ++part) {
    float* const v = values[part];
    const int64_t feature = feature_of(part, lane);
    HYPERX_UNROLL
    for (int i = 0; i < kBlockFeatures; ++i) v[i] = 0.0F;
    if (feature >= width) continue;
    load_block<kVector>(static_cast<const T*>(call.x) + at, feature, width, v);
    if (call.bias != nullptr) {
      load_block<kVector>(static_cast<const T*>(call.bias), feature, width, term);
      HYPERX_UNROLL
      for (int i = 0; i < kBlockFeatures; ++i) v[i] += term[i];
    }
    if (draw.slots != nullptr) apply_mask(draw, row, feature, v);
    if (call.first != nullptr) {
      load_block<kVector>(static_cast<const T*>(call.first) + at, feature, width, term);
      if (call.second != nullptr) {
        float other[kBlockFeatures];
        load_block<kVector>(static_cast<const T*>(call.second) + at, feature, width, other);
        HYPERX_UNROLL
        for (int i = 0; i < kBlockFeatures; ++i) term[i] += other[i];
      }
      HYPERX_UNROLL
      for (int i = 0; i < kBlockFeatures; ++i) v[i] += term[i];
    }
    if (call.sum != nullptr) store_block<kVector>(static_cast<T*>(call.sum) + at, feature, width, v);
    HYPERX_UNROLL
    for (int i = 0; i < kBlockFeatures; ++i) total += v[i];
  }
  const float mean = warp_sum(total) / static_cast<float>(width);
  float squares = 0.0F;
  HYPERX_UNROLL
  for (int part = 0; part < kParts; ++part) {
    HYPERX_UNROLL
    for (int i = 0; i < kBlockFeatures; ++i)
      if (feature_of(part, lane) + i < width) squares += (values[part][i] - mean) * (values[part][i] - mean);
  }
  const float scale = 1.0F / sqrtf(warp_sum(squares) / static_cast<float>(width) + call.epsilon);
  if (lane == 0 && call.mean != nullptr) call.mean[row] = mean;
  if (lane == 0 && call.scale != nullptr) call.scale[row] = scale;
  HYPERX_UNROLL
  for (int part = 0; part < kParts; ++part) {
    const int64_t feature = feature_of(part, lane);
    if (feature >= width) continue;
    float weight[kBlockFeatures];
    load_block<kVector>(call.weight, feature, width, weight);
    load_block<kVector>(call.norm_bias, feature, width, term);
    HYPERX_UNROLL
    for (int i = 0; i < kBlockFeatures; ++i) term[i] = (values[part][i] - mean) * scale * weight[i] + term[i];
    store_block<kVector>(static_cast<T*>(call.y) + at, feature, width, term);
  }
}

// Adds the warps' sums of one kind, in the order of the warps, to the chunk's partial sums. `shared` [warps, features].
template <int kParts>
__device__ inline void store_partials(const float (&sums)[kParts][kBlockFeatures], float* shared, float* partials,
                                      int64_t width) {
  constexpr int kFeatures = kParts * kWarpFeatures;
  const int lane = static_cast<int>(threadIdx.x), warp = static_cast<int>(threadIdx.y);
  __syncthreads();
  HYPERX_UNROLL
  for (int part = 0; part < kParts; ++part) {
    HYPERX_UNROLL
    for (int i = 0; i < kBlockFeatures; ++i)
      shared[warp * kFeatures + (part * kBlockFeatures + i) * kWarpLanes + lane] = sums[part][i];
  }
  __syncthreads();
  for (int index = warp * kWarpLanes + lane; index < kFeatures; index += kWarps * kWarpLanes) {
    const int64_t feature =
        feature_of(index / kWarpFeatures, index % kWarpFeatures / kBlockFeatures) + index % kBlockFeatures;
    if (feature >= width) continue;
    const int place = (index / kWarpFeatures * kBlockFeatures + index % kBlockFeatures) * kWarpLanes +
                      index % kWarpFeatures / kBlockFeatures;
    float sum = shared[place];
    for (int other = 1; other < kWarps; ++other) sum += shared[other * kFeatures + place];
    partials[feature] = sum;
  }
}

// One thread block per chunk of rows, which its warps take in turn.
template <class T, bool kVector, int kParts>
__global__ void __launch_bounds__(kWarps* kWarpLanes) norm_backward_kernel(NormBackward call) {
  const int lane = static_cast<int>(threadIdx.x);
  const int64_t width = call.width, first_row = static_cast<int64_t>(blockIdx.x) * kNormChunkRows;
  const MaskDraw draw = mask_draw(call.mask);
  const float inverse = 1.0F / static_cast<float>(width);
  float dweight[kParts][kBlockFeatures] = {}, dnorm_bias[kParts][kBlockFeatures] = {},
        dbias[kParts][kBlockFeatures] = {};
  for (int64_t row = first_row + threadIdx.y; row < min(first_row + kNormChunkRows, call.rows); row += kWarps) {
    const int64_t at = row * width;
    const float mean = call.mean[row], scale = call.scale[row];
    float inner[kParts][kBlockFeatures], normed[kParts][kBlockFeatures];
    float total = 0.0F, along = 0.0F;
    HYPERX_UNROLL
    for (int part = 0; part < kParts; ++part) {
      const int64_t feature = feature_of(part, lane);
      float dy[kBlockFeatures] = {}, sum[kBlockFeatures] = {}, weight[kBlockFeatures] = {};
      if (feature < width) {
        load_block<kVector>(static_cast<const T*>(call.dy) + at, feature, width, dy);
        load_block<kVector>(static_cast<const T*>(call.sum) + at, feature, width, sum);
        load_block<kVector>(call.weight, feature, width, weight);
      }
      HYPERX_UNROLL
      for (int i = 0; i < kBlockFeatures; ++i) {  // beyond the width dy and weight are 0, and so are all results
        normed[part][i] = (sum[i] - mean) * scale;
        inner[part][i] = dy[i] * weight[i];
        total += inner[part][i];
        along += inner[part][i] * normed[part][i];
        dweight[part][i] += dy[i] * normed[part][i];
        dnorm_bias[part][i] += dy[i];
      }
    }
    total = warp_sum(total) * inverse;
    along = warp_sum(along) * inverse;
    HYPERX_UNROLL
    for (int part = 0; part < kParts; ++part) {
      const int64_t feature = feature_of(part, lane);
      if (feature >= width) continue;
      float gradient[kBlockFeatures];
      HYPERX_UNROLL
      for (int i = 0; i < kBlockFeatures; ++i) gradient[i] = scale * (inner[part][i] - total - normed[part][i] * along);
      store_block<kVector>(static_cast<T*>(call.dsum) + at, feature, width, gradient);
      if (draw.slots != nullptr) {
        apply_mask(draw, row, feature, gradient);
        store_block<kVector>(static_cast<T*>(call.dx) + at, feature, width, gradient);
      }
      HYPERX_UNROLL
      for (int i = 0; i < kBlockFeatures; ++i) dbias[part][i] += gradient[i];
    }
  }
  float* const shared = shared_memory<float>();
  float* const partials = call.partials + static_cast<int64_t>(blockIdx.x) * 3 * width;
  store_partials(dweight, shared, partials, width);
  store_partials(dnorm_bias, shared, partials + width, width);
  store_partials(dbias, shared, partials + 2 * width, width);
}

// Calls run with the number of blocks per lane as a constant. There are few sizes, and one for odd widths, because each
// is compiled for two types and several GPUs.
template <bool kVector, class Run>
void with_parts(int64_t width, const Run& run) {
  if (width < 1 || width > kMaxNormWidth) throw SystemError("a norm over so many features has no kernel");
  if (kVector && width <= 3 * kWarpFeatures) return run(std::integral_constant < int, kVector ? 3 : 8 > ());
  if (kVector && width <= 4 * kWarpFeatures) return run(std::integral_constant < int, kVector ? 4 : 8 > ());
  run(std::integral_constant<int, 8>());
}

template <class T, bool kVector>
void forward_of(const NormForward& call, Stream stream) {
  with_parts<kVector>(call.width, [&](auto parts) {
    launch("residual_norm_forward", norm_forward_kernel<T, kVector, parts.value>,
           dim3(static_cast<unsigned>(ceil_divide(call.rows, kWarps))), dim3(kWarpLanes, kWarps), 0, stream, call);
  });
}

template <class T, bool kVector>
void backward_of(const NormBackward& call, Stream stream) {
  const int64_t chunks = ceil_divide(call.rows, kNormChunkRows);
  with_parts<kVector>(call.width, [&](auto parts) {
    constexpr int64_t kShared = static_cast<int64_t>(sizeof(float)) * kWarps * parts.value * kWarpFeatures;
    if (chunks > 0)
      launch("residual_norm_backward", norm_backward_kernel<T, kVector, parts.value>,
             dim3(static_cast<unsigned>(chunks)), dim3(kWarpLanes, kWarps), kShared, stream, call);
  });
  const int64_t kinds = call.dbias != nullptr ? 3 : 2;
  add_partials<float, T>(call.partials, chunks, kinds * call.width, 3 * call.width,
                         {call.dweight_bias, 2 * call.width, static_cast<T*>(call.dbias)}, stream);
}

bool as_vectors(const NormForward& c) {
  return loads_as_vectors(c.width, {c.x, c.bias, c.first, c.second, c.weight, c.norm_bias, c.y, c.sum});
}
bool as_vectors(const NormBackward& c) { return loads_as_vectors(c.width, {c.dy, c.sum, c.weight, c.dsum, c.dx}); }

}  // namespace

int64_t norm_partial_values(int64_t rows, int64_t width) { return ceil_divide(rows, kNormChunkRows) * 3 * width; }

void residual_norm_forward(const NormForward& call, Stream stream) {
  if (call.rows == 0) return;
  with_row_type(call.type, as_vectors(call),
                [&](auto row, auto vector) { forward_of<decltype(row), vector.value>(call, stream); });
}

void residual_norm_backward(const NormBackward& call, Stream stream) {
  with_row_type(call.type, as_vectors(call),
                [&](auto row, auto vector) { backward_of<decltype(row), vector.value>(call, stream); });
}

}  // namespace HYPERX_KERNEL_BUILD
}  // namespace hyperx::model::kernels

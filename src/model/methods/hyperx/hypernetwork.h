#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "data/tasks/pair.h"
#include "model/methods/hyperx/hyperx_options.h"
#include "model/methods/method.h"
#include "model/parameters/parameters.h"

namespace hyperx::model {

// One generated tensor of a layer's adapter: its range in theta.
struct ThetaPart {
  std::string name;  // "down_weight", "down_bias", "up_weight", "up_bias", "norm_before_weight", ...
  int64_t begin;
  std::vector<int64_t> shape;  // down_weight [adapter, hidden], up_weight [hidden, adapter], biases [adapter], [hidden]
  int64_t size() const;
};

// How the generators' rows are divided among ranks (parallel.generator=sharded): rank r holds rows [r * share, (r + 1)
// * share) of every W and c, with share = ceil(theta / ranks); the last ranks may hold fewer. A single rank holds all.
struct GeneratorShard {
  int rank = 0, ranks = 1;
  // Assembles theta: takes this rank's [rows, share], returns [ranks, rows, share]. Collective.
  std::function<at::Tensor(const at::Tensor&)> gather;
};

// The source embeddings, their projection P, and the generators H (docs/method.md section 1, eq. 2-5). P and the
// embeddings are dense parameters of the group "source"; W and c are held here, because their gradient is only known as
// factors.
class Hypernetwork {
 public:
  Hypernetwork(const HyperXOptions& options, const MethodContext& context, GeneratorShard shard);

  // Projected sources, [pairs * groups-of-layers, projected], differentiable: one row per pair and layer (pair-major),
  // or one row per pair where there is no layer embedding.
  at::Tensor sources(const std::vector<data::Pair>& pairs) const;
  // theta [pairs, layers, theta] from the values of the sources. Collective where the rows are sharded.
  void generate(const at::Tensor& sources, at::Tensor theta) const;

  // Allocates the memory that generate() needs in addition to `theta`, and frees it for reuse.
  void reserve(const at::Tensor& theta) const;

  // Marks the source parameters that these pairs use as used.
  void mark_used(const std::vector<data::Pair>& pairs, ParameterSet& parameters) const;

  // W [own rows, projected] and c [own rows] of each group: one group, or one per layer.
  struct Generator {
    at::Tensor weight, bias;
  };
  std::vector<Generator>& generators() { return generators_; }
  const std::vector<Generator>& generators() const { return generators_; }
  // The rows of g [pairs, layers, own rows] that belong to a group's sources.
  at::Tensor rows_of_group(const at::Tensor& g, size_t group) const;  // [rows, own rows]

  // Rows of theta that a rank holds, and the equal share that determines the layout of messages.
  bool is_sharded() const { return shard_.ranks > 1; }
  int64_t share() const { return (theta_size_ + shard_.ranks - 1) / shard_.ranks; }
  int64_t row_begin(int64_t rank) const { return std::min(rank * share(), theta_size_); }
  int64_t row_count(int64_t rank) const { return std::min(share(), theta_size_ - row_begin(rank)); }
  int64_t own_begin() const { return row_begin(shard_.rank); }
  int64_t own_rows() const { return row_count(shard_.rank); }

  // W and c of all rows (or their moments or gradients) as named views, two per generator:
  // "hypernetwork.weight_down.weight", "hypernetwork.weight_down.bias", ... (with the layer's number after
  // "hypernetwork." where each layer has its own).
  NamedTensors named_views_of(const std::vector<Generator>& like) const;

  const std::vector<ThetaPart>& parts() const { return parts_; }
  int64_t theta_size() const { return theta_size_; }
  int64_t projected_size() const { return projected_; }
  int64_t layers() const { return layers_; }
  bool has_layer_embedding() const { return !layer_embeddings_.empty(); }
  int64_t element_count() const;

 private:
  void lay_out(const HyperXOptions& options, int64_t hidden);
  void draw_generators(uint64_t seed, const at::TensorOptions& options);
  std::string generator_prefix(size_t group) const;

  GeneratorShard shard_;
  int64_t layers_, projected_, theta_size_ = 0;
  std::vector<ThetaPart> parts_;
  std::vector<Generator> generators_;
  std::map<std::string, at::Tensor> task_embeddings_, language_embeddings_;
  std::vector<at::Tensor> layer_embeddings_;
  at::Tensor hidden_weight_, hidden_bias_, output_weight_, output_bias_;  // P; undefined if there is none
};

}  // namespace hyperx::model

#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "model/parameters/dense_block.h"
#include "model/parameters/parameter_block.h"

namespace hyperx::model {

// All trained values of a model: dense parameters, which bind() groups into one DenseBlock per group, and the blocks of
// a method.
class ParameterSet {
 public:
  // `exchanged`: see DenseBlock; the same for all parameters of a group.
  Parameter& add(const std::string& name, const std::string& group, const at::Tensor& initial, bool exchanged = true);
  void add_block(std::unique_ptr<ParameterBlock> block) { method_blocks_.push_back(std::move(block)); }
  // Makes a block of each group; nothing can be added afterwards.
  void bind();

  // The groups in the order of their names, then the blocks of a method.
  const std::vector<std::unique_ptr<ParameterBlock>>& blocks() const { return blocks_; }
  const std::vector<std::unique_ptr<Parameter>>& all() const { return parameters_; }  // dense ones, as added
  Parameter& at(const std::string& name);
  const Parameter* find(const std::string& name) const;  // nullptr: none

  void begin_step();                         // of every block
  void use_group(const std::string& group);  // marks its parameters used
  int64_t element_count() const;             // of all blocks
  // Every trained tensor by name, live. Only if no block is sharded over ranks.
  NamedTensors named_values() const;

 private:
  std::vector<std::unique_ptr<Parameter>> parameters_;  // addresses stay valid while more are added
  std::map<std::string, Parameter*> by_name_;
  std::set<std::string> not_exchanged_;  // groups
  std::vector<std::unique_ptr<ParameterBlock>> method_blocks_, blocks_;
};

// Fills `out` (contiguous, fp32 or fp64, any device) with values [first, first + out.numel()) of the stream N(0,
// deviation²) of (seed, name).
void draw_normal(at::Tensor out, int64_t first, double deviation, uint64_t seed, const std::string& name);

// Draws N(0, deviation²) from (seed, name) only: adding a language or a task changes no other tensor.
at::Tensor normal_tensor(at::IntArrayRef shape, double deviation, uint64_t seed, const std::string& name,
                         const at::TensorOptions& options);

}  // namespace hyperx::model

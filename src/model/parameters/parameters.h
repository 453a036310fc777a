#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace hyperx::model {

// A trained tensor: what optimizer, exchange, checkpoint and size estimates know of the model.
struct Parameter {
  std::string name;     // "heads.pos.weight"
  std::string group;    // parameters that get their gradients together: "layer_norms", "heads.pos", "source", ...
  at::Tensor value;     // fp32 master (fp64 in tests), an autograd leaf
  at::Tensor gradient;  // view into its group's flat gradient, equal to value.grad()
  bool used = false;    // has a part in this step (on any rank)
};

// The dense trained parameters, in the order in which they were added. Values and gradients of a group lie in one flat
// tensor each, so that a group is exchanged, cleared, summed up and updated as one.
class ParameterSet {
 public:
  Parameter& add(const std::string& name, const std::string& group, const at::Tensor& initial);
  // Puts the values of each group end to end and makes its gradients; afterwards nothing can be added.
  void bind();

  const std::vector<std::unique_ptr<Parameter>>& all() const { return parameters_; }
  Parameter& at(const std::string& name);
  const Parameter* find(const std::string& name) const;
  std::vector<std::string> groups() const;
  std::vector<Parameter*> of_group(const std::string& group) const;  // in the order of the flat tensors
  at::Tensor group_values(const std::string& group) const;           // [elements of the group], flat
  at::Tensor group_gradient(const std::string& group) const;         // the same
  void begin_step();                                                 // clears `used` and every gradient
  void use_group(const std::string& group);                          // marks its parameters used
  std::vector<std::string> used_groups() const;
  int64_t element_count() const;

 private:
  std::vector<std::unique_ptr<Parameter>> parameters_;  // pointers stay valid while more are added
  std::map<std::string, Parameter*> by_name_;
  std::map<std::string, at::Tensor> values_, gradients_;
};

// Fills `out` (contiguous, fp32 or fp64, any device) with values [first, first + out.numel()) of the stream N(0,
// deviation²) of (seed, name).
void draw_normal(at::Tensor out, int64_t first, double deviation, uint64_t seed, const std::string& name);

// Draws N(0, deviation²) from (seed, name) alone: adding a language or a task changes no other tensor.
at::Tensor normal_tensor(at::IntArrayRef shape, double deviation, uint64_t seed, const std::string& name,
                         const at::TensorOptions& options);

}  // namespace hyperx::model

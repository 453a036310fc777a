#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "model/comm/communicator.h"
#include "model/parameters/adam.h"

namespace hyperx::model {

struct NamedTensor {
  std::string name;
  at::Tensor value;
};
using NamedTensors = std::vector<NamedTensor>;

// One message of a gradient exchange. All ranks send the same messages in the same order.
struct Message {
  enum class Kind {
    kSum,         // `output` is summed over all ranks, in place; small sums may be sent together
    kGather,      // `output` gets every rank's `input`, counts[r] values from rank r
    kScatterSum,  // `output` gets this rank's part of the sum of all `input`
  };
  Kind kind = Kind::kSum;
  at::Tensor output;
  at::Tensor input = {};
  std::vector<int64_t> counts = {};
};

// A part of a large gradient, summed separately as soon as the backward pass has completed it.
struct GradientBucket {
  at::Tensor gradient;             // contiguous
  std::vector<at::Tensor> leaves;  // whose gradients are views of it
};

// How the pairs of a step are divided among the ranks.
struct StepRanks {
  int rank = 0, size = 1;
  std::vector<int> owners = {};  // [pairs of the step] the rank that holds each pair whole; only with whole pairs
};

// One part of a block's saved state.
enum class StatePart { kValues, kFirstMoments, kSecondMoments };

// A piece of the trained state that is exchanged, updated and saved as a unit: the dense parameters of one group, or
// the hypernetwork's W and c, whose gradient is only known as factors. Optimizer, exchange and checkpoint iterate over
// blocks and know nothing else about a model.
//
// A training step calls, in this order: begin_step; forward and backward; in each round, messages and then exchanged;
// gradient_complete; norm_squared; update.
class ParameterBlock {
 public:
  explicit ParameterBlock(std::string name) : name_(std::move(name)) {}
  virtual ~ParameterBlock() = default;
  ParameterBlock(const ParameterBlock&) = delete;
  ParameterBlock& operator=(const ParameterBlock&) = delete;

  const std::string& name() const { return name_; }  // "layer_norms", "heads.pos", "hypernetwork"
  virtual int64_t element_count() const = 0;         // trained values, over all ranks

  // Clears the gradient and the `used` marks of the step.
  virtual void begin_step() = 0;
  // Whether it takes part in the current step, on any rank.
  virtual bool is_used() const = 0;

  // A plain sum of more than `bytes`, split into buckets of about that size, in the order in which a backward pass
  // completes them; they are sent instead of the messages. Empty: messages are sent.
  virtual std::vector<GradientBucket> buckets([[maybe_unused]] int64_t bytes) const { return {}; }
  // How its gradient is exchanged, in one word: "sum", or a method's own name for it.
  virtual const char* exchange() const { return "sum"; }
  // Whether ranks must hold whole pairs of a step, rather than a share of every pair.
  virtual bool needs_whole_pairs() const { return false; }
  // Rounds of messages: the messages of a round are sent before the next round's are asked for. The same on all ranks.
  virtual int rounds() const { return 1; }
  virtual std::vector<Message> messages(int round, const StepRanks& ranks) = 0;
  // Called after each round, also with a single rank, which sends nothing.
  virtual void exchanged([[maybe_unused]] int round) {}
  // Called after the last round of all blocks: derives what depends on the complete gradient, such as that of other
  // blocks.
  virtual void gradient_complete() {}

  // Squared norm of the complete gradient, over the parts of all ranks. 0-dim fp64.
  virtual at::Tensor norm_squared() const = 0;

  // Allocates moments and update counts, all zero. Call it before the first update or load of moments.
  virtual void begin_training(const UpdateOptions& options) = 0;
  virtual void update(const AdamStep& step) = 0;
  // Update counts by name: names of parameters, or of the whole block.
  virtual std::vector<std::pair<std::string, int64_t>> update_counts() const = 0;
  // Returns false if the name is not one of this block's.
  virtual bool set_update_count(const std::string& name, int64_t count) = 0;

  // Whole tensors by name, for rank 0 to save: views of the live tensors, or, for a block with sharded rows, copies on
  // the host of rank 0 (then collective, and the other ranks get none).
  virtual NamedTensors state(StatePart part, comm::Communicator& ranks) = 0;
  // The same names for loading: fill the tensors that are found, then call loaded(). Not collective.
  virtual NamedTensors loadable(StatePart part) = 0;
  virtual void loaded([[maybe_unused]] StatePart part) {}

 private:
  std::string name_;
};

// Σ x², 0-dim fp64.
at::Tensor sum_of_squares(const at::Tensor& tensor);

}  // namespace hyperx::model

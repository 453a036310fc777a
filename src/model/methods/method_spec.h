#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/config/schema.h"
#include "data/tasks/task_set.h"
#include "model/encoder/encoder_spec.h"

// The part of a method that needs no LibTorch: its options and costs, for --help, `options`, `prepare` and `estimate`.
namespace hyperx::model {

// One message of a step between all ranks.
struct MessageCost {
  enum class Kind { kAllReduce, kReduceScatter, kAllGather };
  Kind kind = Kind::kAllReduce;
  double bytes = 0;  // S: input of all_reduce and reduce_scatter, output of all_gather

  // Bytes that each of n ranks in a ring sends: 2 S (n-1)/n for an all-reduce, otherwise S (n-1)/n. The Communicator
  // counts the same.
  double sent(int ranks) const;
};

// A block of trained values, named as in the built model.
struct BlockCost {
  std::string name;
  int64_t values = 0;  // over all ranks
};

// What a method trains and computes in addition to the frozen encoder, its LayerNorms and the heads.
struct MethodCosts {
  std::vector<BlockCost> blocks;
  std::vector<MessageCost> messages;  // per step, in addition to the bucket of small sums
  double bucket_values = 0;           // values of the blocks that travel in the bucket
  const char* exchange = "sum";       // how the gradient is exchanged, in one word; equal to the block's own
  bool whole_pairs = false;           // ranks hold whole pairs of a step

  // Bytes on one rank.
  double state_bytes = 0;      // values, moments and gradients of the blocks
  double generated_bytes = 0;  // values generated for every pair and layer, and their gradient

  // Per token and layer.
  double product_values = 0;     // trained weights that a token is multiplied by
  double activation_values = 0;  // activations kept for the backward pass

  // Per step on one rank, in addition to the matrix products of the tokens.
  double update_bytes = 0, update_operations = 0;
  std::string smaller_state;  // the keys whose change makes the state smaller
};

// Adds what dense trained values cost: they travel in the bucket, with value, gradient and two moments each, and are
// cleared, measured for the norm and updated by Adam in every step.
void add_dense_costs(double values, MethodCosts& costs);

constexpr double kAdamPasses = 6;  // equivalent passes over the values: reads and writes of values and both moments

struct CostQuestion {
  const Config& config;
  const EncoderSpec& encoder;
  data::TaskSet tasks;
  int64_t languages = 1;
  int ranks = 1;
  double pairs = 1;  // per step
  bool gpu = false, bf16 = false;
};

// What of the encoder a method trains.
enum class EncoderTraining { kNothing, kLayerNorms, kAll };

struct MethodSpec {
  const char* name;  // value of model.method, and the prefix of its options
  EncoderTraining trains;
  // Whether what a sentence gets depends on its language, so that only languages that were learnt can be tagged.
  bool (*by_language)(const Config& config);
  void (*add_options)(config::Schema& schema);
  MethodCosts (*costs)(const CostQuestion& question);
  bool makes_heads = false;  // the last layers of labelled tasks come from Method::head_samples
  // Whether forward passes of one task differ only in values at fixed addresses, as CUDA graphs need it.
  bool replayable = true;
  // Folders of other runs whose trained values the method builds on, from its one option with paths; nullptr: needs
  // none.
  std::vector<std::string> (*needs)(const Config& config) = nullptr;
  // What to change when all words end in the same hidden state (trainer/collapse_watch.h), after "with".
  const char* against_collapse = "a lower train.learning_rate, more train.warmup_steps or more tasks in train.pairs";

  bool trains_encoder() const { return trains == EncoderTraining::kAll; }
};

const std::vector<MethodSpec>& method_specs();
// UserError (78): no such method.
const MethodSpec& find_method_spec(const std::string& name);

}  // namespace hyperx::model

#pragma once

#include <cstdint>
#include <vector>

#include "data/tasks/task_set.h"
#include "model/encoder/encoder_spec.h"
#include "model/heads/head_spec.h"
#include "model/methods/method_spec.h"

namespace hyperx::estimate {

// What all methods share, encoder and heads, with their numbers of values (those of the encoder: encoder_sizes()).
struct ModelSizes {
  model::EncoderSpec encoder;
  data::TaskSet tasks;
  int64_t languages = 1;
  Config config = {};

  const model::MethodSpec& method() const { return model::find_method_spec(config.model.method); }
  model::HeadCosts head(const data::Task& task) const;
  // What the method's row says of a step with `pairs` pairs.
  model::MethodCosts method_costs(int ranks, double pairs, bool gpu = false, bool bf16 = false) const;
  int64_t trained_norms() const;  // values of the encoder's LayerNorms, if the method trains them
  int64_t shared_values() const;  // these and all heads
};

// Shared values plus those of the method's blocks.
int64_t trained_values(const ModelSizes& model, const model::MethodCosts& costs);

}  // namespace hyperx::estimate

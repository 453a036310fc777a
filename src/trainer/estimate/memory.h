#pragma once

#include "trainer/estimate/devices.h"
#include "trainer/estimate/step_work.h"

namespace hyperx::estimate {

// Bytes that one rank holds at the peak of a step.
struct Memory {
  double program = 0;      // the program, LibTorch and its libraries; on a GPU the context and NCCL's buffers
  double encoder = 0;      // weights in the compute type
  double method = 0;       // values, moments and gradients of the method's blocks (sharded: this rank's rows)
  double generated = 0;    // values generated for all pairs and layers, and their gradient
  double shared = 0;       // norms and heads: value, gradient, moments
  double activations = 0;  // saved for the backward pass, and temporary values
  double checkpoint = 0;   // rank 0's copy of all trained values and moments in host memory, during a write
  double step() const { return program + encoder + method + generated + shared + activations; }
};

struct MemoryOptions {
  bool gpu = false;
  bool bf16 = false;
  bool random_encoder = false;  // kept in memory in addition to its bf16 form; a file is only mapped
};

// `share`: what the rank computes at a time (train.micro_batch_tokens bounds it).
Memory memory_of(const ModelSizes& model, const model::MethodCosts& costs, const StepSizes& share,
                 int64_t micro_batch_tokens, const MemoryOptions& options);

}  // namespace hyperx::estimate

#pragma once

#include "trainer/estimate/devices.h"
#include "trainer/estimate/step_work.h"

namespace hyperx::estimate {

// Bytes that one rank holds at the peak of a step.
struct Memory {
  double program = 0;      // the program, LibTorch and what it loads; on a GPU the context and NCCL's buffers
  double encoder = 0;      // frozen weights in the type of the products
  double generators = 0;   // W, c and both moments (sharded: this rank's rows); the dense gradient where it is stored
  double theta = 0;        // adapters of all pairs and layers, and their gradient
  double others = 0;       // P, embeddings, norms and heads: value, gradient, moments
  double activations = 0;  // saved for the backward pass, and what this holds beside them
  double checkpoint = 0;   // rank 0's copy of all trained values and moments in the host's memory, while it is written
  double step() const { return program + encoder + generators + theta + others + activations; }
};

struct MemoryOptions {
  bool gpu = false;
  bool bf16 = false;
  bool random_encoder = false;  // kept in memory beside its bf16 form; a file is only mapped
  double generator_share = 1;   // of the rows of W
  bool dense = false;
};

// `share`: what the rank computes at once (train.micro_batch_tokens bounds it).
Memory memory_of(const ModelSizes& model, const StepSizes& share, int64_t micro_batch_tokens,
                 const MemoryOptions& options);

// Of model.h5 and optimizer.h5 together.
double checkpoint_bytes(const ModelSizes& model);

}  // namespace hyperx::estimate

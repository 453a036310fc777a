#include "trainer/estimate/memory.h"

#include <algorithm>

namespace hyperx::estimate {
namespace {

// Measured on the machine of docs/benchmarks.md: the program with LibTorch, MKL and MPI (440 MB before it has a
// model), and what its start leaves in the heap, which keeps freed blocks.
constexpr double kProgramBytes = 610e6;
constexpr double kGpuProgramBytes = 1.5e9;  // CUDA's context, its libraries' workspaces, NCCL's buffers; not measured
// Heap memory for activations, relative to the live ones: includes freed blocks that fit no later request.
constexpr double kHeapShare = 1.2;
constexpr double kTensorBytes = 11e3;  // overhead of a named parameter in all tables that contain it; measured

}  // namespace

Memory memory_of(const ModelSizes& model, const model::MethodCosts& costs, const StepSizes& share,
                 int64_t micro_batch_tokens, const MemoryOptions& options) {
  const double h = static_cast<double>(model.encoder.hidden), f = static_cast<double>(model.encoder.intermediate);
  const double layers = static_cast<double>(model.encoder.layers), kept = costs.activation_values;
  const double value_bytes = options.bf16 ? 2 : 4;
  Memory memory;
  memory.program = options.gpu ? kGpuProgramBytes : kProgramBytes;

  const model::EncoderSizes sizes = encoder_sizes(model.encoder);
  const double tables = 4.0 * static_cast<double>(sizes.tables);
  const double all_values = static_cast<double>(sizes.without_norms());
  const double all_fp32 = 4.0 * all_values;
  const double products = static_cast<double>(sizes.products);
  if (model.method().trains_encoder())  // what a step casts for its products
    memory.encoder = options.bf16 ? 2 * all_values : 0;
  else if (!options.bf16)  // query, key and value are copied into one tensor
    memory.encoder = all_fp32 + (options.gpu ? 0 : 4 * layers * 3 * h * (h + 1));
  else if (options.gpu)
    memory.encoder = tables + 2 * products;
  else  // packed for both directions
    memory.encoder = (options.random_encoder ? all_fp32 : tables) + 2 * 2 * products;
  if (options.bf16)
    for (const auto& task : model.tasks) memory.encoder += 2 * static_cast<double>(model.head(*task).copied_values);

  memory.method = costs.state_bytes;
  memory.generated = costs.generated_bytes;
  const double tensors = static_cast<double>(model.languages) + static_cast<double>(model.tasks.size()) + 5 * layers;
  memory.shared = 4 * 4.0 * static_cast<double>(model.shared_values()) + kTensorBytes * tensors;

  const double at_once = micro_batch_tokens > 0
                             ? std::min(1.0, static_cast<double>(micro_batch_tokens) / std::max(1.0, share.tokens))
                             : 1.0;
  const double tokens = at_once * share.tokens;
  // Saved: query, key, value, inputs of both norms and of GELU, and what the method keeps.
  const double attention_bytes = options.gpu ? value_bytes : 4;
  const double probabilities = options.gpu ? 0 : 4 * static_cast<double>(model.encoder.heads) * at_once * share.squares;
  const double saved = layers * (tokens * (3 * h * attention_bytes + (3 * h + f + kept) * value_bytes) + probabilities);
  const double passing = tokens * (2 * f + 3 * h) * value_bytes;
  const double logits = 4 * at_once * share.masked * static_cast<double>(model.encoder.vocabulary) * 4;
  double of_label = 0;  // of the largest head
  for (const auto& task : model.tasks)
    if (!task->masked()) of_label = std::max(of_label, model.head(*task).activation_values);
  memory.activations =
      (options.gpu ? 1 : kHeapShare) * (saved + passing) + logits + 4 * at_once * share.labelled * of_label;
  memory.checkpoint = 3 * 4 * static_cast<double>(trained_values(model, costs));
  return memory;
}

}  // namespace hyperx::estimate

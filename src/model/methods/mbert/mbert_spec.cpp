#include "model/methods/method_spec.h"

namespace hyperx::model {
namespace {

void add_options(config::Schema&) {}  // none of its own

// The whole encoder without its LayerNorms, which are counted for every method.
MethodCosts costs_of(const CostQuestion& question) {
  MethodCosts costs;
  costs.blocks = {{"encoder", encoder_sizes(question.encoder).without_norms()}};
  add_dense_costs(static_cast<double>(costs.blocks[0].values), costs);
  costs.smaller_state = "take more GPUs' memory, or method hyperx";
  return costs;
}

}  // namespace

MethodSpec mbert_spec() {
  return {.name = "mbert",
          .trains = EncoderTraining::kAll,
          .by_language = [](const Config&) { return false; },
          .add_options = add_options,
          .costs = costs_of};
}

}  // namespace hyperx::model

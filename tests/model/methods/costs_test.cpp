#include <gtest/gtest.h>

#include <map>

#include "model/methods/method_spec.h"
#include "tests/support/hyperx_of.h"
#include "tests/trainer/tiny_model.h"

namespace hyperx::model {
namespace {

// What `estimate` says without a model, of each method and of Hyper-X in its variants, against the blocks of the model.
void expect_costs_of_the_built_model(const Config& config) {
  const std::vector<data::TaskInfo> tasks{data::task_info("ner"), data::task_info("pos")};
  const EncoderWeights encoder = train::tiny_encoder();
  const Model model(encoder, {config, tasks, {"en", "is", "tr"}, at::kFloat, at::kCPU});
  std::map<std::string, int64_t> built, told;
  for (const auto& block : model.parameters().blocks())
    if (block->name() != "layer_norms" && !block->name().starts_with("heads."))
      built[block->name()] = block->element_count();
  CostQuestion question{config, encoder.spec};
  question.tasks = 2;
  question.languages = 3;
  for (const BlockCost& block : find_method_spec(config.model.method).costs(question).blocks)
    told[block.name] = block.values;
  EXPECT_EQ(told, built) << config.model.method;
}

TEST(MethodCosts, AreThoseOfTheBuiltModel) {
  for (const MethodSpec& spec : method_specs()) {
    Config config = train::tiny_config();
    config.model.method = spec.name;
    expect_costs_of_the_built_model(config);
  }
}

TEST(MethodCosts, OfHyperXInEveryVariant) {
  for (const int layer_dim : {0, 4})
    for (const int projected_dim : {0, 7})
      for (const char* norm : {"none", "plain", "conditional"}) {
        Config config = train::tiny_config();
        HyperXOptions& options = hyperx_options(config);
        options.layer_dim = layer_dim;
        options.projected_dim = projected_dim;
        options.adapter_norm_after = norm;
        expect_costs_of_the_built_model(config);
      }
}

}  // namespace
}  // namespace hyperx::model

#include <gtest/gtest.h>

#include <map>

#include "model/heads/head_spec.h"
#include "model/methods/method_spec.h"
#include "tests/support/hyperx_of.h"
#include "tests/trainer/tiny_model.h"

namespace hyperx::model {
namespace {

// What `estimate` says without a model, of each method and of Hyper-X in its variants, against the blocks of the model.
void expect_costs_of_the_built_model(const Config& config) {
  const data::TaskSet tasks = data::TaskSet::of({"ner", "pos", "mlm"});
  const EncoderWeights encoder = train::tiny_encoder();
  const Model model(encoder, {config, tasks, {"en", "is", "tr"}, at::kFloat, at::kCPU});
  std::map<std::string, int64_t> built, told;
  for (const auto& block : model.parameters().blocks())
    if (block->name() != "layer_norms") built[block->name()] = block->element_count();
  CostQuestion question{config, encoder.spec};
  question.tasks = tasks;
  question.languages = 3;
  const MethodSpec& method = find_method_spec(config.model.method);
  for (const BlockCost& block : method.costs(question).blocks) told[block.name] = block.values;
  for (const auto& task : tasks) {
    const HeadCosts head = head_costs(
        {*task, encoder.spec, config.model.mlm_decoder == "trained", method.trains_encoder, method.makes_heads});
    if (head.values > 0) told[group_of_head(task->name())] = head.values;
  }
  EXPECT_EQ(told, built) << config.model.method;
}

TEST(MethodCosts, AreThoseOfTheBuiltModel) {
  for (const MethodSpec& spec : method_specs()) {
    Config config = train::tiny_config();
    config.model.method = spec.name;
    for (const char* decoder : {"tied", "trained"}) {
      config.model.mlm_decoder = decoder;
      expect_costs_of_the_built_model(config);
    }
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

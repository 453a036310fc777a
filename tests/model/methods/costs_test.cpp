#include <gtest/gtest.h>

#include <map>

#include "model/heads/head_spec.h"
#include "model/methods/madx/madx_options.h"
#include "model/methods/method_spec.h"
#include "model/methods/psf/psf_options.h"
#include "tests/support/hyperx_of.h"
#include "tests/trainer/tiny_model.h"

namespace hyperx::model {
namespace {

// What `estimate` says without a model, of each method and of Hyper-X in its variants, against the blocks of the model.
void expect_costs_of_the_built_model(const Config& config,
                                     const data::TaskSet& tasks = data::TaskSet::of({"ner", "pos", "mlm"}),
                                     const std::vector<std::string>& languages = {"en", "is", "tr"},
                                     const std::vector<TrainedRun>& needed = {}) {
  const EncoderWeights encoder = train::tiny_encoder();
  ModelOptions options{config, tasks, languages, at::kFloat, at::kCPU};
  options.needed = needed;
  for (const std::string& task : tasks.names())
    for (const std::string& language : languages) options.pairs.push_back({task, language});
  const Model model(encoder, options);
  std::map<std::string, int64_t> built, told;
  for (const auto& block : model.parameters().blocks())
    if (block->name() != "layer_norms") built[block->name()] = block->element_count();
  CostQuestion question{config, encoder.spec};
  question.tasks = tasks;
  question.languages = std::ssize(languages);
  const MethodSpec& method = find_method_spec(config.model.method);
  for (const BlockCost& block : method.costs(question).blocks) told[block.name] = block.values;
  for (const auto& task : tasks) {
    const HeadCosts head = head_costs(
        {*task, encoder.spec, config.model.mlm_decoder == "trained", method.trains_encoder(), method.makes_heads});
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
      if (config.model.method == "madx")
        expect_costs_of_the_built_model(config, data::TaskSet::of({"mlm"}), {"en"});
      else if (config.model.method == "psf")
        expect_costs_of_the_built_model(config, data::TaskSet::of({"ner", "pos"}));
      else
        expect_costs_of_the_built_model(config);
    }
  }
}

// The values of the adapter of the language "en" as its run would have them.
TrainedRun language_run(const Config& config) {
  const Model model(train::tiny_encoder(), {config, data::TaskSet::of({"mlm"}), {"en"}, at::kFloat, at::kCPU});
  TrainedRun run{"run", config, data::TaskSet::of({"mlm"}), {"en"}, {}};
  for (const auto& [name, value] : model.parameters().named_values()) run.values[name] = value;
  return run;
}

TEST(MethodCosts, OfMadx) {
  for (const char* invertible : {"nice", "none"}) {
    Config config = train::tiny_config();
    config.model.method = "madx";
    MadxOptions& options = config.sections.edit<MadxOptions>();
    options.invertible = invertible;
    const TrainedRun language = language_run(config);
    expect_costs_of_the_built_model(config, data::TaskSet::of({"mlm"}), {"en"});
    options.train = "task";
    expect_costs_of_the_built_model(config, data::TaskSet::of({"pos"}), {"en"}, {language});
  }
}

// 16 languages and 2 tasks on mBERT, beside the paper's "76 m".
TEST(MethodCosts, OfMadxInThePaper) {
  Config config;
  config.model.method = "madx";
  EncoderSpec mbert;
  mbert.hidden = 768;
  mbert.layers = 12;
  CostQuestion question{config, mbert};
  const auto values = [&](const char* train) {
    config.sections.edit<MadxOptions>().train = train;
    return find_method_spec("madx").costs(question).blocks.at(0).values;
  };
  EXPECT_EQ(values("language"), 4730880 + 296064);  // bottlenecks and the invertible adapter
  EXPECT_EQ(values("task"), 894528);
  EXPECT_EQ(16 * values("language") + 2 * values("task"), 82220160);
}

TEST(MethodCosts, OfPsf) {
  Config config = train::tiny_config();
  config.model.method = "psf";
  PsfOptions& options = config.sections.edit<PsfOptions>();
  options.latent_dim = 7;
  options.mlp_layers = 2;
  expect_costs_of_the_built_model(config, data::TaskSet::of({"ner", "pos"}));
  options.posterior = "low-rank";
  options.rank = 3;
  expect_costs_of_the_built_model(config, data::TaskSet::of({"ner", "pos"}));
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

#include "common/config/make_option.h"
#include "common/config/stored_paths.h"
#include "model/methods/madx/madx_options.h"
#include "model/methods/method_spec.h"

namespace hyperx::model {
namespace {

template <class T>
config::Option fixed(T MadxOptions::*member, const char* key, const char* help, config::Check check) {
  return config::option(member, key, help, std::move(check), config::Resume::kFixed, "model.");
}

std::vector<std::string> needs_of(const Config& config) {
  return config::paths_in(config.sections.get<MadxOptions>().language_adapters);
}

void check(const Config& config, const config::Given&) {
  if (config.model.method != "madx") return;
  const MadxOptions& options = config.sections.get<MadxOptions>();
  const bool of_task = options.train == "task";
  config::require(!of_task || !needs_of(config).empty(),
                  "madx.train = task needs madx.language_adapters: name the folders of the runs of madx.train = "
                  "language, one for each language of train.pairs and of the languages to be tagged later");
  config::require(of_task || options.language_adapters.empty(),
                  "madx.language_adapters has no effect with madx.train = language: remove one of them");
}

void add_options(config::Schema& schema) {
  using O = MadxOptions;
  const config::Check width = config::in_range(1, 65536);
  schema.options.push_back(fixed(&O::train, "madx.train",
                                 "which adapter the run trains: that of a language, by masked "
                                 "words, or that of a task, on top of those of languages",
                                 config::one_of({"language", "task"})));
  schema.options.push_back(fixed(&O::language_adapter_dim, "madx.language_adapter_dim",
                                 "bottleneck width of a language's adapter [features]", width));
  schema.options.push_back(
      fixed(&O::task_adapter_dim, "madx.task_adapter_dim", "bottleneck width of a task's adapter [features]", width));
  schema.options.push_back(fixed(&O::invertible, "madx.invertible",
                                 "a language's adapter after the embeddings, inverted before the masked-word decoder",
                                 config::one_of({"nice", "none"})));
  config::Option adapters = config::option(
      &O::language_adapters, "madx.language_adapters",
      "folders of the language runs (or their checkpoints) that a task's run builds on, separated by commas; evaluate "
      "and predict may name more",
      config::any_text(), config::Resume::kLogged, "model.encoder");
  adapters.paths = config::Paths::kList;
  schema.options.push_back(std::move(adapters));
  schema.rules.emplace_back(check);
}

int64_t bottlenecks(const EncoderSpec& encoder, int64_t width) {
  return encoder.layers * (2 * encoder.hidden * width + encoder.hidden + width);
}

MethodCosts costs_of(const CostQuestion& question) {
  const MadxOptions& options = question.config.sections.get<MadxOptions>();
  const bool of_task = options.train == "task";
  const int64_t h = question.encoder.hidden, half = h / 2, quarter = half / 2;
  const int64_t invertible = options.invertible == "nice" ? 2 * (2 * half * quarter + half + quarter) : 0;
  const int64_t width = of_task ? options.task_adapter_dim : options.language_adapter_dim;
  MethodCosts costs;
  costs.blocks = {{"madx", bottlenecks(question.encoder, width) + (of_task ? 0 : invertible)}};
  add_dense_costs(static_cast<double>(costs.blocks[0].values), costs);
  if (of_task)                                              // the frozen ones
    costs.state_bytes += (question.bf16 ? 2 * 2.0 : 4.0) *  // in bf16 packed for both directions
                         static_cast<double>(needs_of(question.config).size()) *
                         static_cast<double>(bottlenecks(question.encoder, options.language_adapter_dim) + invertible);
  costs.product_values = 2.0 * static_cast<double>(h) * (width + (of_task ? options.language_adapter_dim : 0));
  costs.activation_values = static_cast<double>((of_task ? 4 : 2) * h + width);
  costs.smaller_state = of_task ? "lower madx.task_adapter_dim" : "lower madx.language_adapter_dim";
  return costs;
}

}  // namespace

MethodSpec madx_spec() {
  return {.name = "madx",
          .trains = EncoderTraining::kNothing,
          .by_language = [](const Config&) { return true; },
          .add_options = add_options,
          .costs = costs_of,
          .replayable = false,
          .needs = needs_of};
}

}  // namespace hyperx::model

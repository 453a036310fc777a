#include "model/options.h"

#include "data/tasks/task.h"
#include "model/methods/method_spec.h"

namespace hyperx::model {
namespace {

// One file may hold options of several methods; on the command line those of another method would be a mistake. A
// command that takes no method works on a saved model, which knows its own (load_model).
void refuse_other_methods(const Config& config, const config::Given& given) {
  if (given("model.method") == config::Source::kNotTaken) return;
  for (const MethodSpec& spec : method_specs()) {
    if (spec.name == config.model.method) continue;
    for (const config::Option& option : options().options)
      config::require(
          !option.key.starts_with(std::string(spec.name) + ".") || given(option.key) != config::Source::kCommandLine,
          "--{} has no effect with model.method = '{}': leave it out", option.key, config.model.method);
  }
}

}  // namespace

const config::Schema& options() {
  static const config::Schema schema = [] {
    std::vector<std::string> methods;
    for (const MethodSpec& spec : method_specs()) methods.emplace_back(spec.name);
    config::Schema all = config::run_options(methods);
    for (const MethodSpec& spec : method_specs()) spec.add_options(all);
    data::add_task_options(all);
    all.rules.emplace_back(refuse_other_methods);
    return all;
  }();
  return schema;
}

}  // namespace hyperx::model

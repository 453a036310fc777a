#include "common/config/make_option.h"
#include "model/methods/method_spec.h"
#include "tests/model/methods/probe/probe_options.h"

namespace hyperx::model {
namespace {

void add_options(config::Schema& schema) {
  using O = ProbeOptions;
  using config::Resume;
  schema.options.push_back(config::option(&O::samples, "probe.samples", "samples of the head", config::in_range(1, 100),
                                          Resume::kFixed, "model."));
  schema.options.push_back(config::option(&O::penalty, "probe.penalty", "weight of the extra loss", config::at_least(0),
                                          Resume::kFixed, "model."));
  config::Option needs = config::option(&O::needs, "probe.needs", "run of the probe to build on", config::any_text(),
                                        Resume::kFixed, "model.");
  needs.paths = config::Paths::kOne;
  schema.options.push_back(std::move(needs));
}

MethodCosts costs_of(const CostQuestion& question) {
  MethodCosts costs;
  int64_t rows = question.languages + question.encoder.layers + 1;
  for (const auto& task : question.tasks) rows += std::ssize(task->labels());
  costs.blocks = {{"probe", question.encoder.hidden * rows}};
  costs.bucket_values = static_cast<double>(costs.blocks[0].values);
  return costs;
}

std::vector<std::string> needs_of(const Config& config) {
  const std::string& folder = config.sections.get<ProbeOptions>().needs;
  return folder.empty() ? std::vector<std::string>{} : std::vector{folder};
}

}  // namespace

MethodSpec probe_spec() {
  return {.name = "probe",
          .trains = EncoderTraining::kLayerNorms,
          .by_language = [](const Config&) { return true; },
          .add_options = add_options,
          .costs = costs_of,
          .makes_heads = true,
          .needs = needs_of};
}

}  // namespace hyperx::model

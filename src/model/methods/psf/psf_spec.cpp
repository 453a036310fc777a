#include "common/config/make_option.h"
#include "model/methods/method_spec.h"
#include "model/methods/psf/psf_options.h"

namespace hyperx::model {
namespace {

void check(const Config& config, const config::Given& given) {
  const PsfOptions& options = config.sections.get<PsfOptions>();
  config::require(given("psf.rank") != config::Source::kCommandLine || options.posterior == "low-rank",
                  "psf.rank has no effect with psf.posterior = diagonal: remove one of them");
}

void add_options(config::Schema& schema) {
  using O = PsfOptions;
  const auto add = [&](auto O::*member, const char* key, const char* help, config::Check allowed) {
    schema.options.push_back(config::option(member, key, help, std::move(allowed), config::Resume::kFixed, "model."));
  };
  add(&O::latent_dim, "psf.latent_dim", "width of the latent vectors of tasks and languages [features]",
      config::in_range(1, 65536));
  add(&O::posterior, "psf.posterior",
      "posterior of the latent vectors: diagonal, or low-rank plus diagonal over all languages (and tasks) together",
      config::one_of({"diagonal", "low-rank"}));
  add(&O::rank, "psf.rank", "rank of the low-rank posterior", config::in_range(1, 4096));
  add(&O::samples, "psf.samples", "samples of the last layer in a training step", config::in_range(1, 1000));
  add(&O::mlp_layers, "psf.mlp_layers", "layers of the network from the latent vectors to the last layer's",
      config::in_range(2, 100));
  add(&O::word_average, "psf.word_average",
      "how often the loss is divided by the number of words; the authors' code does it twice, which weakens it against "
      "the prior",
      config::one_of({"twice", "once"}));
  schema.rules.emplace_back(check);
}

MethodCosts costs_of(const CostQuestion& question) {
  const PsfOptions& options = question.config.sections.get<PsfOptions>();
  const int64_t h = question.encoder.hidden, e = options.latent_dim, inner = options.mlp_layers - 2;
  const int64_t latents = question.languages + std::ssize(question.tasks);
  const int64_t factor = options.posterior == "low-rank" ? options.rank : 0;
  MethodCosts costs;
  costs.blocks = {{"encoder", encoder_sizes(question.encoder).without_norms()},
                  {"psf", latents * e * (2 + factor) + (4 * e + 1) * h + inner * (h + 1) * h + (h + 1) * e}};
  double values = static_cast<double>(costs.blocks[0].values + costs.blocks[1].values);
  for (const auto& task : question.tasks) {
    const int64_t classes = std::ssize(task->labels());
    costs.blocks.push_back({"psf." + task->name(), (2 * classes * h + classes) * (e + 1)});
    values += static_cast<double>(costs.blocks.back().values);
  }
  add_dense_costs(values, costs);
  costs.smaller_state = "take more GPUs' memory, or method hyperx";
  return costs;
}

}  // namespace

MethodSpec psf_spec() {
  return {.name = "psf",
          .trains = EncoderTraining::kAll,
          .by_language = [](const Config&) { return true; },
          .add_options = add_options,
          .costs = costs_of,
          .makes_heads = true,
          .replayable = false};
}

}  // namespace hyperx::model

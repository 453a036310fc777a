#include <algorithm>

#include "common/config/make_option.h"
#include "model/methods/hyperx/exchange_choice.h"
#include "model/methods/hyperx/hyperx_options.h"
#include "model/methods/method_spec.h"

namespace hyperx::model {
namespace {

constexpr double kGpuUpdateRows = 1 << 15, kGpuUpdateTemporaries = 6;  // of Adam with LibTorch's operations

template <class T>
config::Option fixed(T HyperXOptions::*member, const char* key, const char* help, config::Check check) {
  return config::option(member, key, help, std::move(check), config::Resume::kFixed, "model.");
}

void check(const Config& config, const config::Given& given) {
  const HyperXOptions& sizes = config.sections.get<HyperXOptions>();
  config::require(
      config.model.method != "hyperx" || sizes.task_dim + sizes.language_dim + sizes.layer_dim > 0,
      "hyperx.task_dim, language_dim and layer_dim are all 0: the hypernetwork would have no input; give one "
      "of them a width");
  config::require(
      given("hyperx.source_hidden_dim") <= config::Source::kDefault || sizes.projected_dim > 0,
      "hyperx.source_hidden_dim has no effect without the projection (hyperx.projected_dim = 0): remove one of them");
}

void add_options(config::Schema& schema) {
  using O = HyperXOptions;
  const config::Check width = config::in_range(1, 65536), width_or_none = config::in_range(0, 65536);
  const config::Check norms = config::one_of({"none", "plain", "conditional"});
  const auto add = [&](config::Option option) {
    schema.retired.push_back({.key = "model." + option.key.substr(option.key.find('.') + 1), .new_key = option.key});
    schema.options.push_back(std::move(option));
  };
  add(fixed(&O::adapter_dim, "hyperx.adapter_dim", "adapter bottleneck width [features]", width));
  add(fixed(&O::task_dim, "hyperx.task_dim", "task embedding width; 0: none, and one adapter for all tasks [features]",
            width_or_none));
  add(fixed(&O::language_dim, "hyperx.language_dim",
            "language embedding width; 0: none, and one adapter for all languages [features]", width_or_none));
  add(fixed(&O::layer_dim, "hyperx.layer_dim",
            "layer embedding width; 0: none, and one hypernetwork per layer [features]", width_or_none));
  add(fixed(&O::source_hidden_dim, "hyperx.source_hidden_dim",
            "width between the two layers of the projection P [features]", width));
  add(fixed(&O::projected_dim, "hyperx.projected_dim",
            "width of the projected source embedding; 0: no projection P [features]", width_or_none));
  add(fixed(&O::adapter_position, "hyperx.adapter_position",
            "position of the adapter: after the second feed-forward layer, or after the whole layer",
            config::one_of({"ffn-output", "after-layer"})));
  add(fixed(&O::adapter_activation, "hyperx.adapter_activation", "activation of the adapter's bottleneck",
            config::one_of({"relu", "gelu"})));
  add(fixed(&O::adapter_norm_before, "hyperx.adapter_norm_before",
            "LayerNorm at the adapter's input; conditional: generated", norms));
  add(fixed(&O::adapter_norm_after, "hyperx.adapter_norm_after",
            "LayerNorm at the adapter's output; conditional: generated", norms));
  schema.options.push_back(
      config::option(&O::generator_rate, "hyperx.generator_rate",
                     "learning rate of the generators, as a share of train.learning_rate; 1: the release's; about "
                     "1 / hyperx.projected_dim keeps short runs from collapsing (docs/design.md section 5)",
                     config::above(0), config::Resume::kLogged, "model."));
  schema.rules.emplace_back(check);
}

// Numbers of values, with the letters of docs/method.md section 1.
struct Sizes {
  int64_t theta;       // n, one layer's adapter
  int64_t projected;   // d_p
  int64_t generators;  // 1, or one per layer
  int64_t source;      // P and the embeddings of tasks, languages and layers
  int64_t norms;       // plain LayerNorms of the adapters
  int64_t generator_values() const { return generators * theta * (projected + 1); }
};

Sizes sizes_of(const CostQuestion& question) {
  const HyperXOptions& o = question.config.sections.get<HyperXOptions>();
  const auto norms = [&](const char* setting) {
    return (o.adapter_norm_before == setting) + (o.adapter_norm_after == setting);
  };
  const int64_t h = question.encoder.hidden, b = o.adapter_dim;
  const int64_t source = o.task_dim + o.language_dim + o.layer_dim, inner = o.source_hidden_dim;
  Sizes sizes{};
  sizes.theta = 2 * h * b + h + b + norms("conditional") * 2 * h;
  sizes.projected = o.projected_dim > 0 ? o.projected_dim : source;
  sizes.generators = o.layer_dim > 0 ? 1 : question.encoder.layers;
  sizes.source = (o.projected_dim > 0 ? inner * (source + 1) + o.projected_dim * (inner + 1) : 0) +
                 o.task_dim * std::ssize(question.tasks) + o.language_dim * question.languages +
                 o.layer_dim * question.encoder.layers;
  sizes.norms = 2 * h * norms("plain") * sizes.generators;
  return sizes;
}

void add_messages(const CostQuestion& question, const Sizes& sizes, ExchangeKind kind, MethodCosts& costs) {
  using Kind = MessageCost::Kind;
  const double rows = question.pairs * static_cast<double>(question.encoder.layers);
  const double sources = sizes.generators == 1 ? rows : question.pairs;
  const double g = 4 * rows * static_cast<double>(sizes.theta), d = static_cast<double>(sizes.projected);
  if (question.config.parallel.generator == "sharded") {
    costs.messages = {{Kind::kReduceScatter, g}, {Kind::kAllReduce, 8 * (sources * d + 1)}, {Kind::kAllGather, g}};
    return;
  }
  switch (kind) {
    case ExchangeKind::kFactors:
      costs.messages = {{Kind::kAllReduce, g}};
      break;
    case ExchangeKind::kGather:
      costs.messages = {{Kind::kAllGather, g}};
      break;
    case ExchangeKind::kDense:
      costs.messages = {{Kind::kAllReduce, 8 * sources * d},
                        {Kind::kAllReduce, 4 * static_cast<double>(sizes.generator_values())}};
      break;
  }
}

MethodCosts costs_of(const CostQuestion& question) {
  const Sizes sizes = sizes_of(question);
  const ParallelConfig& parallel = question.config.parallel;
  const bool sharded = parallel.generator == "sharded" && question.ranks > 1;
  const ExchangeKind kind = choose_exchange(
      parallel,
      {question.config.train.pairs_per_step, question.encoder.layers, sizes.theta, sizes.projected, sizes.generators},
      question.ranks);
  const bool dense = !sharded && kind == ExchangeKind::kDense;
  const double share = sharded ? 1.0 / question.ranks : 1, w = static_cast<double>(sizes.generator_values()) * share;
  const double rows = question.pairs * static_cast<double>(question.encoder.layers);
  const double n = static_cast<double>(sizes.theta), d = static_cast<double>(sizes.projected);

  MethodCosts costs;
  costs.blocks = {{"hypernetwork", sizes.generator_values()}, {"source", sizes.source}};
  if (sizes.norms > 0) costs.blocks.push_back({"adapter_norms", sizes.norms});
  costs.bucket_values = static_cast<double>(sizes.norms);
  costs.exchange = sharded ? "sharded" : exchange_name(kind);
  costs.whole_pairs = !sharded && question.ranks > 1 && kind == ExchangeKind::kGather;
  add_messages(question, sizes, kind, costs);

  costs.state_bytes = 4 * w * (3 + (dense ? 1 : 0));
  if (question.gpu)
    costs.state_bytes += kGpuUpdateTemporaries * (dense ? 4 * w : std::min(4 * w, 4 * kGpuUpdateRows * d));
  costs.state_bytes += 4 * 4.0 * static_cast<double>(sizes.source + sizes.norms);
  costs.generated_bytes = rows * n * (2 * 4 + (question.bf16 ? 2 : 0));
  costs.product_values =
      2.0 * static_cast<double>(question.encoder.hidden) * question.config.sections.get<HyperXOptions>().adapter_dim;
  costs.activation_values = question.config.sections.get<HyperXOptions>().adapter_dim;
  // W is read to compute theta and ds; Adam reads and writes it and both moments. g is written, cleared and read twice.
  costs.update_bytes = 4 * ((2 + kAdamPasses + (dense ? 3 : 0)) * w + 4 * rows * n * share);
  costs.update_operations = 3 * 2 * rows * n * share * d;
  costs.smaller_state =
      sharded ? "lower hyperx.projected_dim" : "set parallel.generator=sharded, or a lower hyperx.projected_dim";
  return costs;
}

}  // namespace

MethodSpec hyperx_spec() {
  return {.name = "hyperx",
          .trains = EncoderTraining::kLayerNorms,
          .by_language = [](const Config& config) { return config.sections.get<HyperXOptions>().language_dim > 0; },
          .add_options = add_options,
          .costs = costs_of,
          .against_collapse =
              "hyperx.generator_rate at about 1 / hyperx.projected_dim, or more train.warmup_steps, or more tasks in "
              "train.pairs"};
}

}  // namespace hyperx::model

// A method that overrides every function of Method. It is made for nothing else: small, differentiable, and different
// from plain BERT at each place.
#include <ATen/ATen.h>

#include "common/errors.h"
#include "common/random.h"
#include "model/methods/method.h"
#include "tests/model/methods/probe/probe_options.h"

namespace hyperx::model {
namespace {

constexpr const char* kGroup = "probe";
constexpr double kNoise = 0.05;

class Probe : public Method {
 public:
  explicit Probe(const MethodContext& context)
      : options_(context.config.sections.get<ProbeOptions>()),
        parameters_(context.parameters),
        seed_(context.config.train.seed),
        ranks_(context.ranks == nullptr ? 1 : context.ranks->size()) {
    const auto options = at::TensorOptions().dtype(context.master).device(context.device);
    const int64_t hidden = context.spec.hidden;
    const auto draw = [&](const std::string& name, at::IntArrayRef shape) {
      return parameters_.add(name, kGroup, normal_tensor(shape, 0.1, seed_, name, options)).value;
    };
    for (const std::string& language : context.languages) {
      scales_[language] = draw("probe.scale." + language, {hidden});
      for (const TrainedRun& run : context.needed) {
        const auto found = run.values.find("probe.scale." + language);
        if (found == run.values.end())
          throw UserError(ExitCode::kBadData, run.checkpoint + ": has no scale of the language " + language);
        given_[language] = found->second.to(context.device, context.master);
      }
    }
    for (int64_t layer = 0; layer < context.spec.layers; ++layer)
      shifts_.push_back(draw("probe.shift." + std::to_string(layer), {hidden}));
    decoded_ = draw("probe.decoded", {hidden});
    for (const auto& task : context.tasks)
      if (!task->masked())
        heads_[task->name()] = draw("probe.head." + task->name(), {std::ssize(task->labels()), hidden});
  }

  void select(const std::vector<data::Pair>& pairs, bool training, int64_t step) override {
    pairs_ = pairs;
    training_ = training;
    step_ = step;
    if (training) parameters_.use_group(kGroup);
  }

  at::Tensor after_embeddings(const at::Tensor& x, const std::vector<PairRows>& pairs) override {
    std::vector<at::Tensor> parts;
    for (const PairRows& rows : pairs)
      parts.push_back(x.narrow(0, rows.token_begin, rows.token_end - rows.token_begin) * scale_of(rows.pair).exp());
    return at::cat(parts);
  }

  at::Tensor end_layer(int64_t layer, const LayerEnd& end) override {
    return plain_end(end) + shifts_[static_cast<size_t>(layer)].tanh();
  }

  at::Tensor before_decoder(int64_t pair, const at::Tensor& x) override {
    return x * (-scale_of(pair)).exp() + decoded_;
  }

  std::vector<HeadWeights> head_samples(int64_t pair) override {
    const std::string& task = pairs_.at(static_cast<size_t>(pair)).task;
    const at::Tensor& mean = heads_.at(task);
    const at::Tensor bias = at::zeros({mean.size(0)}, mean.options().requires_grad(false));
    if (!training_) return {{mean, bias}};
    std::vector<HeadWeights> samples;
    for (int sample = 0; sample < options_.samples; ++sample) {
      const uint64_t key = derive_key(seed_, "sample", static_cast<uint64_t>(step_ * options_.samples + sample));
      samples.push_back(
          {mean + normal_tensor(mean.sizes(), kNoise, key, task, mean.options().requires_grad(false)), bias});
    }
    return samples;
  }

  at::Tensor extra_loss() override {
    at::Tensor sum;
    for (const auto& [task, mean] : heads_) sum = sum.defined() ? sum + mean.square().sum() : mean.square().sum();
    return sum.defined() ? options_.penalty / ranks_ * sum : sum;
  }

 private:
  at::Tensor scale_of(int64_t pair) const {
    const std::string language = pairs_.at(static_cast<size_t>(pair)).base_language();
    const at::Tensor& own = scales_.at(language);
    const auto given = given_.find(language);
    return given == given_.end() ? own : own + given->second;
  }

  const ProbeOptions options_;
  ParameterSet& parameters_;
  const uint64_t seed_;
  const int ranks_;
  std::map<std::string, at::Tensor> scales_, given_, heads_;  // by language, language, task
  std::vector<at::Tensor> shifts_;                            // [layers]
  at::Tensor decoded_;
  std::vector<data::Pair> pairs_;
  bool training_ = false;
  int64_t step_ = 0;
};

}  // namespace

std::unique_ptr<Method> make_probe(const MethodContext& context) { return std::make_unique<Probe>(context); }

}  // namespace hyperx::model

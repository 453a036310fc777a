#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "model/methods/method.h"
#include "model/methods/psf/posterior.h"
#include "model/methods/psf/psf_options.h"

namespace hyperx::model {

// Parameter space factorisation (docs/method.md section 5): with t and l the latent vectors of the pair's task and
// language, z = MLP([l; t; l - t; l * t]) gives mean and variance of the weight of the task's last layer, and its bias.
// In training the scores are the mean over samples of t, l and the weight; otherwise their means are used.
class Psf final : public Method {
 public:
  // UserError (78): the pairs are not those of a mixed-language setting.
  explicit Psf(const MethodContext& context);

  void select(const std::vector<data::Pair>& pairs, bool training, int64_t step) override;
  std::vector<HeadWeights> head_samples(int64_t pair) override;
  at::Tensor extra_loss() override;
  at::Tensor loss_divisor(const at::Tensor& words) const override;

  // The divergence from the prior of a pair's task and language, 0-dim.
  at::Tensor divergence(int64_t pair) const;

  // N(0, 1) of a shape for one of the draws of a step: "language", "language.zeta", "task", "task.zeta", "weight".
  using Noise = std::function<at::Tensor(const std::string& draw, at::IntArrayRef shape)>;
  // Replaces the draws that follow from train.seed, for tests.
  void replay(Noise noise) { replayed_ = std::move(noise); }

 private:
  struct Layer {
    at::Tensor weight, bias;
  };
  struct TaskLayer {
    Layer mean, logvar, bias;  // of z: the weight [classes * hidden], its variance, the bias [classes]
    int64_t classes;
  };
  // Index of the names in the order of the posterior's rows.
  using Rows = std::map<std::string, int64_t>;

  Posterior make_posterior(const MethodContext& context, const std::string& kind, const Rows& rows);
  at::Tensor mlp(const at::Tensor& language, const at::Tensor& task, int64_t pair) const;  // [samples, e]
  at::Tensor draw(const std::string& what, int64_t pair, at::IntArrayRef shape) const;

  const PsfOptions options_;
  ParameterSet& parameters_;
  const uint64_t seed_;
  const double dropout_;
  const int64_t hidden_, total_steps_;
  const int ranks_;
  Rows language_rows_, task_rows_;
  Posterior languages_, tasks_;
  std::vector<Layer> mlp_;
  std::map<std::string, TaskLayer> last_;  // by task
  std::vector<data::Pair> pairs_;
  bool training_ = false;
  int64_t step_ = 0;
  Noise replayed_;
};

}  // namespace hyperx::model

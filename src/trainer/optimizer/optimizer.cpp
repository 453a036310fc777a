#include "trainer/optimizer/optimizer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <cmath>

#include "common/errors.h"
#include "model/parameters/adam_step.h"

namespace hyperx::train {

Optimizer::Optimizer(model::ParameterSet& parameters, const model::UpdateOptions& options)
    : parameters_(parameters), options_(options) {
  const at::NoGradGuard no_gradient;
  for (const auto& block : parameters_.blocks()) block->begin_training(options);
}

UpdateReport Optimizer::update(double rate) {
  RECORD_USER_SCOPE("hyperx::optimizer");
  const at::NoGradGuard no_gradient;
  std::vector<at::Tensor> parts;  // blocks that the step does not use have no gradient
  for (const auto& block : parameters_.blocks())
    if (block->is_used()) parts.push_back(block->norm_squared());
  const UpdateReport report{at::stack(parts).sum().sqrt()};
  const at::Tensor& norm = report.gradient_norm;

  model::AdamStep step{rate, options_.adam, options_.fused_on(norm.device())};
  if (step.fused) {
    const double value = norm.item<double>();
    if (!std::isfinite(value)) return report;
    step.clip = model::clip_factor(value, options_.clip_norm);
  } else {
    step.control = model::update_control(norm, options_.clip_norm, parameters_.all().front()->value.scalar_type());
  }
  for (const auto& block : parameters_.blocks()) block->update(step);
  return report;
}

std::vector<std::pair<std::string, int64_t>> Optimizer::counts() const {
  std::vector<std::pair<std::string, int64_t>> counts;
  for (const auto& block : parameters_.blocks())
    for (const auto& count : block->update_counts()) counts.push_back(count);
  return counts;
}

void Optimizer::set_counts(const std::vector<std::pair<std::string, int64_t>>& counts, const std::string& origin) {
  const auto refuse = [&](const std::string& name, const char* what) {
    throw UserError(ExitCode::kBadData, origin + ": its update counts " + what + " '" + name +
                                            "'; the optimizer state is not that of this model");
  };
  for (const auto& [name, zero] : this->counts())
    if (std::none_of(counts.begin(), counts.end(),
                     [&, &wanted = name](const auto& each) { return each.first == wanted; }))
      refuse(name, "lack");
  for (const auto& [name, count] : counts) {
    bool known = false;
    for (const auto& block : parameters_.blocks()) known = block->set_update_count(name, count) || known;
    if (!known) refuse(name, "name");
  }
}

}  // namespace hyperx::train

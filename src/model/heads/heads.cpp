#include <ATen/ATen.h>

#include <array>

#include "data/batch/batch.h"
#include "model/heads/head.h"
#include "model/heads/head_spec.h"

namespace hyperx::model {
namespace {

constexpr double kHeadDeviation = 0.02;

}  // namespace

#define HEAD(name) std::unique_ptr<Head> make_##name(const HeadContext& context);
#include "model/heads/rows.inc"
#undef HEAD

at::Tensor Head::loss(const HeadInput& input, const at::Tensor& labels, at::Reduction::Reduction reduction) const {
  return at::cross_entropy_loss(logits(input), labels, {}, reduction, data::kNoLabel);
}

at::Tensor Head::predict(const HeadInput& input) const { return logits(input).argmax(1); }

std::string group_of_head(const std::string& task) { return "heads." + task; }

at::Tensor HeadContext::add(const std::string& name, const at::Tensor& initial) const {
  const std::string group = group_of_head(task.name());
  return parameters.add(group + "." + name, group, initial.to(device, master)).value;
}

at::Tensor HeadContext::draw(const std::string& name, at::IntArrayRef shape) const {
  return normal_tensor(shape, kHeadDeviation, config.train.seed, group_of_head(task.name()) + "." + name, options());
}

std::unique_ptr<Head> make_head(const HeadContext& context) {
  static const std::vector<std::unique_ptr<Head> (*)(const HeadContext&)> makers = {
#define HEAD(name) make_##name,
#include "model/heads/rows.inc"
#undef HEAD
  };
  return makers.at(find_head(context.task.head()))(context);
}

}  // namespace hyperx::model

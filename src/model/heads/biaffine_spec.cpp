#include "model/heads/head_spec.h"

namespace hyperx::model {
namespace {

constexpr double kTrainedPasses = 3;  // products per trained weight: one forward and two backward

HeadCosts costs_of(const HeadQuestion& question) {
  const int64_t h = question.encoder.hidden, relations = std::ssize(question.task.labels());
  HeadCosts costs;
  costs.values = (h + 1) * h + relations * (h + 1) * (h + 1);
  costs.products = kTrainedPasses * static_cast<double>(costs.values);
  costs.classes = relations;
  costs.activation_values = static_cast<double>(relations * (h + 1));
  return costs;
}

}  // namespace

HeadSpec biaffine_spec() { return {"biaffine", costs_of}; }

}  // namespace hyperx::model

#include "model/heads/head_spec.h"

namespace hyperx::model {
namespace {

constexpr double kTrainedPasses = 3;  // products per trained weight: one forward and two backward

HeadCosts costs_of(const HeadQuestion& question) {
  HeadCosts costs;
  costs.classes = std::ssize(question.task.labels());
  costs.values = question.method_makes_heads ? 0 : costs.classes * (question.encoder.hidden + 1);
  costs.products = kTrainedPasses * static_cast<double>(costs.classes * question.encoder.hidden);
  return costs;
}

}  // namespace

HeadSpec token_classification_spec() { return {"token_classification", costs_of}; }

}  // namespace hyperx::model

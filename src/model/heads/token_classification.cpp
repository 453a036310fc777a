#include "model/heads/token_classification.h"

#include <ATen/ATen.h>

namespace hyperx::model {

TokenClassification::TokenClassification(const HeadContext& context) {
  if (context.method_makes_heads) return;
  const auto classes = static_cast<int64_t>(context.task.labels().size());
  weight_ = context.add("weight", context.draw("weight", {classes, context.weights.spec.hidden}));
  bias_ = context.add("bias", at::zeros({classes}, context.options()));
}

at::Tensor TokenClassification::logits(const HeadInput& input) const {
  const std::vector<HeadWeights> made =
      weight_.defined() ? std::vector{HeadWeights{weight_, bias_}} : input.method.head_samples(input.pair);
  const at::Tensor rows = keyed_dropout(input.rows.to(made.at(0).weight.scalar_type()), {}, input.dropout);
  at::Tensor sum;
  for (const HeadWeights& sample : made) {
    const at::Tensor logits = at::linear(rows, sample.weight, sample.bias);
    sum = sum.defined() ? sum + logits : logits;
  }
  return made.size() == 1 ? sum : sum / std::ssize(made);
}

std::unique_ptr<Head> make_token_classification(const HeadContext& context) {
  return std::make_unique<TokenClassification>(context);
}

}  // namespace hyperx::model

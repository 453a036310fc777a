#pragma once

#include "model/heads/head.h"

namespace hyperx::model {

// One label for each word: dropout and a linear layer, whose weights are trained or made by the method.
class TokenClassification : public Head {
 public:
  explicit TokenClassification(const HeadContext& context);
  at::Tensor logits(const HeadInput& input) const override;

 private:
  at::Tensor weight_, bias_;  // [classes, hidden], [classes]; undefined: the method makes them
};

}  // namespace hyperx::model
